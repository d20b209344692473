/** The zones of this server: one file each in a folder, and the same in memory. Not exported. */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { DnsRecord, DomainName } from "@deploy-mcp/domain/model/DnsRecord"
import { Schema } from "effect"

export const StoredZone = Schema.Struct({
  name: DomainName,
  serial: Schema.Int,
  records: Schema.Array(DnsRecord)
})
export type StoredZone = typeof StoredZone.Type

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(StoredZone))

export interface Zones {
  readonly all: ReadonlyMap<string, StoredZone>
  /** On disk before anybody is answered from it. Throws what the file system throws. */
  readonly write: (zone: StoredZone) => void
  readonly remove: (zone: DomainName) => void
}

/** A name of a zone is a name of a file: neither starts with a dot nor has a slash, and 253 fit in 255. */
export const open = (folder: string): Zones => {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const drafts = readdirSync(folder).filter((name) => name.startsWith("."))
  for (const draft of drafts) rmSync(join(folder, draft))
  const all = new Map(readdirSync(folder).map((name) => [name, read(join(folder, name))]))
  return {
    all,
    write: (zone) => {
      const draft = join(folder, ".draft")
      const file = openSync(draft, "w", 0o600)
      try {
        writeFileSync(file, JSON.stringify(zone))
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
      renameSync(draft, join(folder, zone.name))
      all.set(zone.name, zone)
      syncFolder(folder)
    },
    remove: (zone) => {
      rmSync(join(folder, zone), { force: true })
      all.delete(zone)
      syncFolder(folder)
    }
  }
}

const read = (file: string): StoredZone => {
  const text = readFileSync(file, "utf8")
  try {
    return decode(text)
  } catch {
    throw new Error(`${file} is not a zone: put it back from a copy, or remove it.`)
  }
}

const syncFolder = (folder: string) => {
  const handle = openSync(folder, "r")
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
