/** Zones on a PowerDNS authoritative server, over its HTTP API. */
import { conflict, Dns, zoneMissing } from "@deploy-mcp/domain/Dns"
import { isInZone, type Zone, zoneRecords } from "@deploy-mcp/domain/model/DnsRecord"
import { make } from "@deploy-mcp/domain/Provider"
import { Config, Effect, Layer } from "effect"
import * as Api from "./PowerDnsApi.ts"

const config = Config.all({
  /** Where the server's API listens, e.g. `http://127.0.0.1:8081`. */
  url: Config.URL("url"),
  /** The `api-key` of `pdns.conf`; never shown. */
  apiKey: Config.Redacted("api_key"),
  /** The server's id: each is its own `localhost`, only a proxy of several has others. */
  server: Config.String("server").pipe(Config.withDefault("localhost"))
})

const layer = (settings: Config.Success<typeof config>) =>
  Layer.sync(Dns, () => {
    const api = Api.make(settings)

    const mend = (zone: Zone) =>
      Effect.gen(function* () {
        const there = (yield* api.read(zone.name)) ?? []
        const known = there.find(({ type }) => type === "SOA")?.records[0]?.content.split(" ")
        const isOurs = known?.[0] === `${zone.nameServers[0]}.`
        const soa = isOurs ? [] : [soaOf(zone, Number(known?.[2] ?? 1))]
        return yield* api.patch(
          zone.name,
          [...soa, ...zoneRecords(zone).map(Api.toRrset)].map(replace)
        )
      })

    const read = (zone: Zone["name"]) =>
      Effect.gen(function* () {
        const there = yield* api.read(zone)
        if (there === null) return yield* zoneMissing(zone)
        const records = yield* Effect.forEach(there, Api.fromRrset)
        return records.filter((record) => record !== null)
      })

    return {
      ensureZone: (zone) =>
        Effect.gen(function* () {
          const rrsets = [soaOf(zone, 1), ...zoneRecords(zone).map(Api.toRrset)]
          if (yield* api.create(zone.name, rrsets)) return
          // Removed between the two calls: made again.
          if (!(yield* mend(zone))) yield* api.create(zone.name, rrsets)
        }),
      removeZone: api.remove,
      records: read,
      put: (zone, record) =>
        Effect.gen(function* () {
          const refusal = conflict(zone, record, yield* read(zone))
          if (refusal !== null) return yield* refusal
          const isThere = yield* api.patch(zone, [replace(Api.toRrset(record))])
          if (!isThere) return yield* zoneMissing(zone)
        }),
      remove: (zone, { name, type }) =>
        isInZone(name, zone)
          ? Effect.asVoid(api.patch(zone, [{ name: `${name}.`, type, changetype: "DELETE" }]))
          : Effect.void
    }
  })

const replace = (rrset: Api.ResourceRecords) => ({ ...rrset, changetype: "REPLACE" })

/** The server raises the serial by itself with each change. */
const soaOf = (zone: Zone, serial: number): Api.ResourceRecords => ({
  name: `${zone.name}.`,
  type: "SOA",
  ttl: 60,
  records: [
    {
      content: `${zone.nameServers[0]}. hostmaster.${zone.name}. ${serial} 3600 600 1209600 60`,
      disabled: false
    }
  ]
})

export const PowerDns = make({
  id: "powerdns",
  service: Dns,
  summary: "Authoritative DNS over the PowerDNS HTTP API.",
  config,
  make: layer
})
