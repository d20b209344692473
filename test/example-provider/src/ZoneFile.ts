/** Dns as zone files. Everything a provider needs is the contract, its host and a folder. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { conflict, Dns, DnsError, zoneMissing } from "@deploy-mcp/domain/Dns"
import { Unavailable, Unsupported } from "@deploy-mcp/domain/Fault"
import { type DnsRecord, type DomainName, zoneRecords } from "@deploy-mcp/domain/model/DnsRecord"
import { Host, make } from "@deploy-mcp/domain/Provider"
import { Config, Effect, Layer } from "effect"
import { parse, print, type ZoneText } from "./ZoneText.ts"

const layer = () =>
  Layer.effect(
    Dns,
    Effect.gen(function* () {
      const { directory } = yield* Host
      const fileOf = (zone: DomainName) => join(directory, `${zone}.zone`)

      /** Reading and writing are one step: nothing can come between, and a name server sees no half. */
      const change = (
        zone: DomainName,
        to: (there: ZoneText | null) => ReadonlyArray<DnsRecord> | DnsError
      ) =>
        Effect.suspend(() => {
          const there = read(fileOf(zone))
          const records = to(there)
          if (records instanceof DnsError) return Effect.fail(records)
          const serial = (there?.serial ?? 0) + 1
          return onDisk(() => {
            mkdirSync(directory, { recursive: true })
            writeFileSync(join(directory, ".draft"), print(zone, { serial, records }))
            renameSync(join(directory, ".draft"), fileOf(zone))
          })
        })

      return {
        ensureZone: (zone) =>
          change(zone.name, (there) => {
            const made = zoneRecords(zone)
            return [...without(there?.records ?? [], made), ...made]
          }),
        removeZone: (zone) => onDisk(() => rmSync(fileOf(zone), { force: true })),
        records: (zone) =>
          Effect.suspend(() => {
            const there = read(fileOf(zone))
            return there === null ? Effect.fail(zoneMissing(zone)) : Effect.succeed(there.records)
          }),
        put: (zone, record) =>
          change(zone, (there) => {
            if (there === null) return zoneMissing(zone)
            if (record.type === "CAA") return unsupported
            const others = without(there.records, [record])
            return conflict(zone, record, there.records) ?? [...others, record]
          }),
        remove: (zone, record) =>
          Effect.suspend(() =>
            read(fileOf(zone)) === null
              ? Effect.void
              : change(zone, (there) => without(there?.records ?? [], [record]))
          )
      }
    })
  )

const read = (file: string): ZoneText | null => {
  try {
    return parse(readFileSync(file, "utf8"))
  } catch {
    return null
  }
}

const unsupported = new DnsError({ reason: new Unsupported({ feature: "CAA records" }) })

const without = (
  there: ReadonlyArray<DnsRecord>,
  keys: ReadonlyArray<Pick<DnsRecord, "name" | "type">>
) => there.filter(({ name, type }) => !keys.some((key) => key.name === name && key.type === type))

const onDisk = (act: () => void) =>
  Effect.try({
    try: act,
    catch: () =>
      new DnsError({ reason: new Unavailable({ detail: "The zone file cannot be written." }) })
  })

export const ZoneFile = make({
  id: "zone-file",
  service: Dns,
  summary: "Zones as files for a name server that reads them.",
  config: Config.succeed({}),
  make: layer
})
