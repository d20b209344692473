/** Small files of static releases, in memory: the least recently served leave first. */
import type { ServedFile } from "./ServedFile.ts"

export interface FileCache {
  readonly get: (key: string) => ServedFile | undefined
  readonly set: (key: string, file: ServedFile) => void
  /** Forgets every file whose key begins like this. */
  readonly forget: (prefix: string) => void
}

export const makeFileCache = (maxBytes = 16 * 1024 * 1024): FileCache => {
  const files = new Map<string, ServedFile>()
  let bytes = 0
  return {
    get: (key) => {
      const file = files.get(key)
      if (file === undefined) return undefined
      files.delete(key)
      files.set(key, file)
      return file
    },
    set: (key, file) => {
      const before = files.get(key)
      if (before !== undefined) bytes -= cost(key, before)
      files.delete(key)
      files.set(key, file)
      bytes += cost(key, file)
      for (const [oldest, old] of files) {
        if (bytes <= maxBytes) break
        files.delete(oldest)
        bytes -= cost(oldest, old)
      }
    },
    forget: (prefix) => {
      for (const [key, file] of files) {
        if (!key.startsWith(prefix)) continue
        files.delete(key)
        bytes -= cost(key, file)
      }
    }
  }
}

/** The entry itself is counted too, so that many names of one file can't fill the memory. */
const cost = (key: string, file: ServedFile): number =>
  (file.body?.length ?? 0) + 2 * (key.length + file.path.length) + 512
