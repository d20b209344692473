/** An authoritative name server in this process, over UDP and TCP. */
import { join } from "node:path"
import { conflict, Dns, DnsError, zoneMissing } from "@deploy-mcp/domain/Dns"
import { Unavailable } from "@deploy-mcp/domain/Fault"
import { type DnsRecord, type DomainName, zoneRecords } from "@deploy-mcp/domain/model/DnsRecord"
import { Host, make } from "@deploy-mcp/domain/Provider"
import { Clock, Config, Effect, Layer } from "effect"
import { listen } from "./Listen.ts"
import { reply } from "./Reply.ts"
import * as Zones from "./Zones.ts"

const config = Config.all({
  /** The address of this machine on which it listens. */
  address: Config.String("address").pipe(Config.withDefault("127.0.0.1")),
  /** For UDP and TCP alike; the internet asks on 53. */
  port: Config.Port("port").pipe(Config.withDefault(8053))
})

const layer = (settings: Config.Success<typeof config>) =>
  Layer.effect(
    Dns,
    Effect.gen(function* () {
      const { directory } = yield* Host
      const zones = yield* Effect.sync(() => Zones.open(join(directory, "zones")))
      yield* listen(settings, (message, transport) => reply(zones.all, message, transport))

      /** Nothing may come between reading a zone and writing it, so both are one step. */
      const change = (
        zone: DomainName,
        to: (there: ReadonlyArray<DnsRecord> | undefined) => ReadonlyArray<DnsRecord> | DnsError
      ) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          Effect.suspend(() => {
            const known = zones.all.get(zone)
            const records = to(known?.records)
            if (records instanceof DnsError) return Effect.fail(records)
            const serial = Math.max((known?.serial ?? 0) + 1, Math.floor(now / 1000))
            return onDisk(() => zones.write({ name: zone, serial, records }))
          })
        )

      return {
        ensureZone: (zone) =>
          change(zone.name, (there) => {
            const made = zoneRecords(zone)
            return [...without(there ?? [], made), ...made]
          }),
        removeZone: (zone) => onDisk(() => zones.remove(zone)),
        records: (zone) =>
          Effect.suspend(() => {
            const known = zones.all.get(zone)
            return known === undefined
              ? Effect.fail(zoneMissing(zone))
              : Effect.succeed(known.records)
          }),
        put: (zone, record) =>
          change(zone, (there) =>
            there === undefined
              ? zoneMissing(zone)
              : (conflict(zone, record, there) ?? [...without(there, [record]), record])
          ),
        remove: (zone, record) =>
          Effect.suspend(() =>
            zones.all.has(zone)
              ? change(zone, (there) => without(there ?? [], [record]))
              : Effect.void
          )
      }
    })
  )

type Key = Pick<DnsRecord, "name" | "type">

const without = (there: ReadonlyArray<DnsRecord>, keys: ReadonlyArray<Key>) =>
  there.filter(({ name, type }) => !keys.some((key) => key.name === name && key.type === type))

const onDisk = (act: () => void) =>
  Effect.try({
    try: act,
    catch: (cause) => {
      const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown"
      return new DnsError({
        reason: new Unavailable({ detail: `The zone could not be written to disk (${code}).` })
      })
    }
  })

export const DnsEmbedded = make({
  id: "embedded",
  service: Dns,
  summary: "An authoritative name server in the process, over UDP and TCP.",
  config,
  make: layer
})
