/** Zones in memory, for tests: what is put is answered, wildcards included. Nothing listens. */
import { conflict, Dns, zoneMissing } from "@deploy-mcp/domain/Dns"
import {
  type DnsRecord,
  type DomainName,
  isInZone,
  textOf,
  zoneRecords
} from "@deploy-mcp/domain/model/DnsRecord"
import { Context, Effect, Layer } from "effect"

interface ZoneInMemory {
  readonly serial: number
  readonly records: ReadonlyArray<DnsRecord>
}

/** What tests look at; it outlives the provider as a real name server does. */
export class DnsWorld extends Context.Service<
  DnsWorld,
  { readonly zones: Map<DomainName, ZoneInMemory> }
>()("@deploy-mcp/providers/DnsWorld") {
  static readonly layer = Layer.sync(DnsWorld, () => ({ zones: new Map() }))
}

export const layer: Layer.Layer<Dns, never, DnsWorld> = Layer.effect(
  Dns,
  Effect.map(DnsWorld, ({ zones }) => {
    let serial = 0
    const write = (zone: DomainName, records: ReadonlyArray<DnsRecord>) => {
      serial = Math.max(serial, zones.get(zone)?.serial ?? 0) + 1
      zones.set(zone, { serial, records })
    }
    const without = (there: ReadonlyArray<DnsRecord>, keys: ReadonlyArray<Key>) =>
      there.filter((record) => keys.every((key) => !isSame(record, key)))
    return {
      ensureZone: (zone) =>
        Effect.sync(() => {
          const made = zoneRecords(zone)
          write(zone.name, [...without(zones.get(zone.name)?.records ?? [], made), ...made])
        }),
      removeZone: (zone) => Effect.sync(() => void zones.delete(zone)),
      records: (zone) =>
        Effect.suspend(() => {
          const known = zones.get(zone)
          return known === undefined
            ? Effect.fail(zoneMissing(zone))
            : Effect.succeed(known.records)
        }),
      put: (zone, record) =>
        Effect.suspend(() => {
          const known = zones.get(zone)
          if (known === undefined) return Effect.fail(zoneMissing(zone))
          const refusal = conflict(zone, record, known.records)
          if (refusal !== null) return Effect.fail(refusal)
          write(zone, [...without(known.records, [record]), record])
          return Effect.void
        }),
      remove: (zone, record) =>
        Effect.sync(() => {
          const known = zones.get(zone)
          if (known !== undefined) write(zone, without(known.records, [record]))
        })
    }
  })
)

/** What a resolver would be told; of an SOA the serial alone. */
export const answer = (
  { zones }: Context.Service.Shape<typeof DnsWorld>,
  name: string,
  type: DnsRecord["type"] | "SOA"
): { readonly code: string; readonly values: ReadonlyArray<string> } => {
  const [zone, known] = [...zones].find(([zone]) => isInZone(name, zone)) ?? []
  if (zone === undefined || known === undefined) return { code: "REFUSED", values: [] }
  if (type === "SOA" && name === zone) return { code: "NOERROR", values: [String(known.serial)] }
  const exists = (candidate: string) =>
    known.records.some(
      (record) => record.name.endsWith(`.${candidate}`) || record.name === candidate
    )
  let owner = name
  if (!exists(name)) {
    let parent = parentOf(name)
    while (!exists(parent)) parent = parentOf(parent)
    owner = `*.${parent}`
  }
  const found = known.records.filter((record) => record.name === owner && record.type === type)
  return { code: exists(owner) ? "NOERROR" : "NXDOMAIN", values: found.flatMap(textOf) }
}

type Key = Pick<DnsRecord, "name" | "type">

const isSame = (left: Key, right: Key) => left.name === right.name && left.type === right.type

const parentOf = (name: string) => name.slice(name.indexOf(".") + 1)
