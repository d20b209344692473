/** Small files of static releases, in memory: the least recently served leave first. */
export interface ServedFile {
  /** Absolute, without symlinks. */
  readonly path: string
  readonly size: number
  readonly etag: string
  readonly contentType: string
  readonly cacheControl: string
  /** Null: too large, streamed from disk. */
  readonly body: Buffer | null
}

export interface FileCache {
  readonly get: (key: string) => ServedFile | undefined
  readonly set: (key: string, file: ServedFile) => void
}

/** Files up to this many bytes are read whole. */
export const smallFileBytes = 1024 * 1024

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
    }
  }
}

/** The entry itself is counted too, so that many names of one file can't fill the memory. */
const cost = (key: string, file: ServedFile): number =>
  (file.body?.length ?? 0) + 2 * (key.length + file.path.length) + 512
