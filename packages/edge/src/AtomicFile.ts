import { randomBytes } from "node:crypto"
import { rename, rm, writeFile } from "node:fs/promises"

/** Replaces a file as a whole: a reader, also one after a kill, sees the old or the new content. */
export const writeAtomic = async (path: string, content: string | Buffer): Promise<void> => {
  const draft = `${path}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`
  try {
    await writeFile(draft, content, { mode: 0o600 })
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}
