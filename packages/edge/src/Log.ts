import { copyFileSync, fstatSync, ftruncateSync, statSync } from "node:fs"

/** The edge's own log: one short line for each thing an operator may ask about. No secrets. */
export type Log = (message: string) => void

/**
 * Written to stderr. Where that is `file`, opened to append, it is kept small while it grows: the newest
 * `bytes` of it are there, and those before them in `<file>.1`.
 */
export const stderrLog = (file: string, bytes = 4 * 1024 ** 2): Log => {
  /** Bytes until it is worth another look at the file, which others write to as well. */
  let room = 0
  return (message) => {
    if (room <= 0) room = roomIn(file, bytes)
    const line = `${new Date().toISOString()} edge ${message}\n`
    room -= Buffer.byteLength(line)
    process.stderr.write(line)
  }
}

const roomIn = (file: string, bytes: number): number => {
  const written = fstatSync(process.stderr.fd)
  const there = statSync(file, { throwIfNoEntry: false })
  if (there?.ino !== written.ino || there.dev !== written.dev) return bytes
  if (written.size < bytes) return bytes - written.size
  try {
    copyFileSync(file, `${file}.1`)
  } catch {
    // No room for the older half: the newer one still may not grow.
  }
  ftruncateSync(process.stderr.fd)
  return bytes
}

/** What is worth saying of something caught: its message, never its stack. */
export const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)
