/**
 * What "implements Dns" means. A provider's test needs one call:
 *
 *     DnsConformance.suite("mine", layer, { world, observe })
 */
import { assert, layer as withLayer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Dns } from "../Dns.ts"
import {
  type DnsRecord,
  type DomainName,
  Ipv4,
  RecordName,
  type RecordType,
  recordTypes,
  textOf,
  type Zone
} from "../model/DnsRecord.ts"
import { listed, oneValue, recordOf, zoneOf } from "./DnsSamples.ts"
import * as Laws from "./Laws.ts"

export type Transport = "udp" | "tcp"

export interface DnsQuestion {
  readonly zone: DomainName
  readonly name: string
  readonly type: RecordType | "SOA"
  readonly transport: Transport
}

export interface DnsObserved {
  /** `NOERROR`, `NXDOMAIN`, `REFUSED`, … */
  readonly code: string
  /** What stands in the answer, as `textOf` writes it; of an SOA the serial alone. */
  readonly values: ReadonlyArray<string>
}

export interface DnsWorld<W> {
  /** What outlives an instance of the provider: a server, a folder. Made once for the suite. */
  readonly world: Layer.Layer<W, unknown>
  /** Asks as the rest of the internet would, past the provider's own methods. */
  readonly observe: (question: DnsQuestion) => Effect.Effect<DnsObserved, unknown, W>
  /** Types that the backend cannot hold; the provider must then fail with `Unsupported`. */
  readonly unsupported?: ReadonlyArray<RecordType>
  /** The provider on a wire that carries every request and loses every reply. */
  readonly deaf?: Layer.Layer<Dns, unknown, W>
  /** The provider with credentials or an address that do not work, and what it must never tell. */
  readonly broken?: { readonly layer: Layer.Layer<Dns, unknown, W>; readonly secrets: string[] }
}

export const suite = <W>(
  name: string,
  provider: Layer.Layer<Dns, unknown, W>,
  { world, observe, unsupported = [], deaf, broken }: DnsWorld<W>
): void => {
  const through =
    (layer: Layer.Layer<Dns, unknown, W>): Laws.Instance<Dns, W> =>
    (use) =>
      Effect.provide(use, Layer.fresh(layer), { local: true })
  const instance = through(provider)
  const ask = (zone: Zone, name: string, type: DnsQuestion["type"], transport: Transport = "udp") =>
    observe({ zone: zone.name, name, type, transport }).pipe(
      Effect.map(({ code, values }) => ({ code, values: values.toSorted() }))
    )
  const put = (zone: Zone, record: DnsRecord) => Dns.use((dns) => dns.put(zone.name, record))
  const ensure = (zone: Zone) => Dns.use((dns) => dns.ensureZone(zone))
  const drop = (zone: Zone) => Dns.use((dns) => dns.removeZone(zone.name))
  const supported = recordTypes.filter((type) => !unsupported.includes(type))

  /** All that a zone shows from its first moment: name servers, wildcard, and whether it has an SOA. */
  const face = (zone: Zone) =>
    Effect.gen(function* () {
      const soa = yield* ask(zone, zone.name, "SOA")
      return {
        soa: soa.values.length,
        nameServers: (yield* ask(zone, zone.name, "NS")).values,
        overUdp: (yield* ask(zone, `any.${zone.name}`, "A", "udp")).values,
        overTcp: (yield* ask(zone, `any.${zone.name}`, "A", "tcp")).values
      }
    })
  const nothing = { soa: 0, nameServers: [], overUdp: [], overTcp: [] }
  const whole = (zone: Zone) => ({
    soa: 1,
    nameServers: zone.nameServers.toSorted(),
    overUdp: zone.addresses.toSorted(),
    overTcp: zone.addresses.toSorted()
  })

  withLayer(world, { excludeTestServices: true })(`${name} is a Dns`, (it) => {
    it.effect("makes a zone with SOA, name servers and wildcard, and removes it", () => {
      const zone = zoneOf("face")
      const look = face(zone)
      return Effect.gen(function* () {
        yield* Laws.converges({ instance, change: ensure(zone), look }, whole(zone))
        yield* Laws.converges({ instance, change: drop(zone), look }, nothing)
      })
    })

    it.effect("mends a zone and leaves its other records alone", () => {
      const zone = zoneOf("mend")
      const moved: Zone = { ...zone, addresses: [Ipv4.make("192.0.2.99")] }
      const extra = recordOf("TXT", zone)
      return Effect.gen(function* () {
        yield* instance(Effect.andThen(ensure(zone), put(zone, extra)))
        const look = Effect.all([face(zone), ask(zone, extra.name, "TXT")])
        const expected = [whole(moved), { code: "NOERROR", values: textOf(extra) }] as const
        yield* Laws.converges({ instance, change: ensure(moved), look }, [...expected])
      })
    })

    it.effect.each(supported)("puts, replaces, lists and removes %s", (type) => {
      const zone = zoneOf(`type-${type.toLowerCase()}`)
      const record = recordOf(type, zone)
      const shorter = oneValue(record)
      const values = (found: DnsRecord) => ({ code: "NOERROR", values: textOf(found).toSorted() })
      return Effect.gen(function* () {
        yield* instance(ensure(zone))
        const look = Effect.all([
          type === "NS" ? Effect.succeed(values(record)) : ask(zone, record.name, type),
          Dns.use((dns) => dns.records(zone.name)).pipe(Effect.map((all) => listed(all, record)))
        ])
        yield* Laws.converges({ instance, change: put(zone, record), look }, [
          values(record),
          values(record).values
        ])
        const one = yield* instance(Effect.andThen(put(zone, shorter), look))
        assert.deepEqual(one[1], values(shorter).values)
        if (type !== "NS") assert.deepEqual(one[0], values(shorter))
        const gone = Dns.use((dns) => dns.remove(zone.name, record))
        const left = ask(zone, record.name, type).pipe(Effect.map((found) => found.values))
        // The wildcard answers for a name that has nothing of its own.
        const expected = type === "A" ? zone.addresses : []
        yield* Laws.converges({ instance, change: gone, look: left }, expected)
      })
    })

    it.effect("replaces one type at a name and leaves the others", () => {
      const zone = zoneOf("beside")
      const text = recordOf("TXT", zone)
      const address = { ...recordOf("A", zone), name: text.name }
      return Effect.gen(function* () {
        yield* instance(
          Effect.all([ensure(zone), put(zone, text), put(zone, address), put(zone, oneValue(text))])
        )
        const found = yield* instance(
          Effect.all([ask(zone, text.name, "A", "tcp"), ask(zone, text.name, "TXT", "tcp")])
        )
        assert.deepEqual(
          found.map(({ values }) => values),
          [textOf(address).toSorted(), textOf(oneValue(text))]
        )
      })
    })

    it.effect("loses nothing when many change a zone at once", () => {
      const zone = zoneOf("many")
      const records = Array.from(
        { length: 12 },
        (_, n): DnsRecord => ({
          type: "A",
          name: RecordName.make(`n${n}.${zone.name}`),
          ttl: 60,
          values: [Ipv4.make(`192.0.2.${n + 100}`)]
        })
      )
      const all = Effect.forEach(records, (record) => put(zone, record), { concurrency: 6 })
      const look = Effect.forEach(records, (record) => ask(zone, record.name, "A"))
      return Effect.gen(function* () {
        yield* instance(Effect.andThen(ensure(zone), all))
        const found = yield* instance(look)
        assert.deepEqual(
          found.map(({ values }) => values[0]),
          records.flatMap(textOf)
        )
      })
    })

    it.effect("raises the serial with every change, over a new instance too", () => {
      const zone = zoneOf("serial")
      const serial = ask(zone, zone.name, "SOA").pipe(Effect.map(({ values }) => Number(values[0])))
      return Effect.gen(function* () {
        const first = yield* instance(Effect.andThen(ensure(zone), serial))
        const next = yield* instance(Effect.andThen(put(zone, recordOf("A", zone)), serial))
        const more = yield* instance(Effect.andThen(put(zone, recordOf("TXT", zone)), serial))
        assert.isAbove(next, first)
        assert.isAbove(more, next)
      })
    })

    it.effect("tells a name that is not there from one without the type", () => {
      const zone = zoneOf("absent")
      const record = { ...recordOf("TXT", zone), name: RecordName.make(`here.x.${zone.name}`) }
      return instance(
        Effect.gen(function* () {
          yield* Effect.andThen(ensure(zone), put(zone, record))
          const noData = { code: "NOERROR", values: [] }
          const missing = { code: "NXDOMAIN", values: [] }
          assert.deepEqual(yield* ask(zone, record.name, "A"), noData)
          assert.deepEqual(yield* ask(zone, `x.${zone.name}`, "A"), noData)
          // A name that exists stops the wildcard above it, RFC 4592.
          assert.deepEqual(yield* ask(zone, `other.x.${zone.name}`, "A"), missing)
        })
      )
    })

    it.effect("removes what was never there", () => {
      const zone = zoneOf("never")
      const record = recordOf("A", zone)
      const remove = Dns.use((dns) => dns.remove(zone.name, record))
      return instance(Effect.all([drop(zone), remove, ensure(zone), remove, remove]))
    })

    it.effect("rejects what cannot be, and nothing changes", () => {
      const zone = zoneOf("rejects")
      const alias = recordOf("CNAME", zone)
      const foreign = { ...recordOf("A", zone), name: RecordName.make("www.elsewhere.test") }
      return instance(
        Effect.gen(function* () {
          yield* Laws.isRejected(put(zone, recordOf("A", zone)))
          yield* Laws.isRejected(Dns.use((dns) => dns.records(zone.name)))
          yield* ensure(zone)
          yield* Laws.isRejected(put(zone, foreign))
          yield* Laws.isRejected(put(zone, { ...alias, name: RecordName.make(zone.name) }))
          yield* put(zone, alias)
          yield* Laws.isRejected(put(zone, { ...recordOf("A", zone), name: alias.name }))
          const found = yield* ask(zone, alias.name, "CNAME")
          assert.deepEqual(found.values, textOf(alias))
          assert.deepEqual(yield* face(zone), whole(zone))
        })
      )
    })

    it.effect("leaves no half of a zone or of a record when it is interrupted", () => {
      const zone = zoneOf("cut")
      const record = recordOf("TXT", zone)
      const values = ask(zone, record.name, "TXT")
      return Effect.gen(function* () {
        yield* Laws.leavesNothingHalfMade(
          { instance, change: ensure(zone), look: face(zone) },
          drop(zone)
        )
        yield* Laws.leavesNothingHalfMade(
          { instance, change: put(zone, record), look: values },
          Dns.use((dns) => dns.remove(zone.name, record))
        )
      })
    })

    Laws.throughStorms(it, {
      instance,
      steps: (place, chance) => {
        const zone = zoneOf(place)
        const moved: Zone = { ...zone, addresses: [Ipv4.make("192.0.2.99")] }
        const made = { name: "ensureZone", change: ensure(zone) }
        const other = () => {
          const record = recordOf(supported[chance.below(supported.length)] ?? "A", zone)
          const gone = Dns.use((dns) => dns.remove(zone.name, record))
          return chance.pick([
            [{ name: `put ${record.type}`, change: put(zone, record) }],
            [{ name: `put ${record.type}`, change: put(zone, record) }],
            [{ name: `put one ${record.type}`, change: put(zone, oneValue(record)) }],
            [{ name: `remove ${record.type}`, change: gone }],
            [{ name: "ensureZone, moved", change: ensure(moved) }],
            [{ name: "removeZone", change: drop(zone) }, made]
          ])
        }
        return [made, ...Array.from({ length: 12 }, other).flat()]
      },
      look: (place) => {
        const zone = zoneOf(place)
        const all = Dns.use((dns) => dns.records(zone.name))
        return Effect.all({
          face: face(zone),
          listed: Effect.map(all, (found) =>
            supported.map((type) => listed(found, recordOf(type, zone)))
          ),
          answers: Effect.forEach(
            supported.filter((type) => type !== "NS"),
            (type) => ask(zone, recordOf(type, zone).name, type)
          )
        })
      }
    })

    for (const type of unsupported) {
      it.effect(`says that it cannot hold ${type}`, () => {
        const zone = zoneOf("unsupported")
        const attempt = put(zone, recordOf(type, zone))
        return instance(Effect.andThen(ensure(zone), Laws.isUnsupported(attempt)))
      })
    }

    if (deaf !== undefined) {
      it.effect("completes a change whose answer was lost", () => {
        const zone = zoneOf("deaf")
        const record = recordOf("A", zone)
        return Effect.gen(function* () {
          yield* Laws.survivesLostReply(
            { instance, change: ensure(zone), look: face(zone) },
            through(deaf),
            whole(zone)
          )
          yield* Laws.survivesLostReply(
            { instance, change: put(zone, record), look: ask(zone, record.name, "A") },
            through(deaf),
            { code: "NOERROR", values: textOf(record).toSorted() }
          )
          yield* Laws.survivesLostReply(
            { instance, change: drop(zone), look: face(zone) },
            through(deaf),
            nothing
          )
        })
      })
    }

    if (broken !== undefined) {
      it.effect("tells no secret when it fails", () => {
        const zone = zoneOf("broken")
        const attempts = [ensure(zone), drop(zone), put(zone, recordOf("A", zone))]
        return Effect.forEach(attempts, (attempt) =>
          Laws.failsWithoutSecrets(through(broken.layer)(attempt), broken.secrets)
        )
      })
    }
  })
}
