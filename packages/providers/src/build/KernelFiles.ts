/** What the kernel tells in files: those of a process that has gone meanwhile read as empty. */
import { readdirSync, readFileSync } from "node:fs"

export const entries = (path: string): ReadonlyArray<string> => {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

export const read = (path: string): string => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}
