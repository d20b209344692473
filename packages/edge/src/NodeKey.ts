/** The node's own key pair: variables are sealed to it, and it never leaves this disk. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { generateNodeKey } from "@deploy-mcp/domain/node/SealedBox"
import { Schema } from "effect"
import { writeAtomic } from "./AtomicFile.ts"

export interface NodeKey {
  readonly publicKey: string
  readonly privateKey: string
}

/** Reads `node-key.json` in `folder`, or makes it once. Rejects when the file is there but broken. */
export const loadNodeKey = async (folder: string): Promise<NodeKey> => {
  const path = join(folder, "node-key.json")
  const text = await readFile(path, "utf8").catch(() => null)
  if (text === null) {
    const key = await generateNodeKey()
    await writeAtomic(path, `${JSON.stringify(key)}\n`)
    return key
  }
  try {
    return decodeKey(JSON.parse(text))
  } catch {
    // Making a new one here would silently lose every sealed variable.
    throw new Error(`${path} is damaged; restore it, or remove it and restart control to seal anew`)
  }
}

const decodeKey = Schema.decodeUnknownSync(
  Schema.Struct({ publicKey: Schema.String, privateKey: Schema.String })
)
