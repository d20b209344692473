/** The HTTP API of PowerDNS 4.7 and its spelling of records. Not exported. */
import { DnsError } from "@deploy-mcp/domain/Dns"
import { Failure } from "@deploy-mcp/domain/Failure"
import { Rejected, Unavailable } from "@deploy-mcp/domain/Fault"
import { DnsRecord, type RecordType, recordTypes } from "@deploy-mcp/domain/model/DnsRecord"
import { Effect, Redacted, Schema, Semaphore } from "effect"

const ResourceRecords = Schema.Struct({
  name: Schema.String,
  type: Schema.String,
  ttl: Schema.Int,
  records: Schema.Array(Schema.Struct({ content: Schema.String, disabled: Schema.Boolean }))
})
export type ResourceRecords = typeof ResourceRecords.Type

const ZoneBody = Schema.Struct({ rrsets: Schema.Array(ResourceRecords) })

interface Reply {
  readonly status: number
  readonly text: string
}

export interface PowerDnsApi {
  /** Null when there is no such zone. */
  readonly read: (zone: string) => Effect.Effect<ReadonlyArray<ResourceRecords> | null, DnsError>
  /** False when there is such a zone already. */
  readonly create: (
    zone: string,
    rrsets: ReadonlyArray<ResourceRecords>
  ) => Effect.Effect<boolean, DnsError>
  /** All of it or nothing; false when there is no such zone. */
  readonly patch: (zone: string, changes: ReadonlyArray<object>) => Effect.Effect<boolean, DnsError>
  readonly remove: (zone: string) => Effect.Effect<void, DnsError>
}

const patience = "10 seconds"

export const make = (settings: {
  readonly url: URL
  readonly apiKey: Redacted.Redacted
  readonly server: string
}): PowerDnsApi => {
  // Two changes at once are too much for the server on SQLite: it answers one of them with 500.
  const turn = Semaphore.makeUnsafe(1)
  const base = new URL(`/api/v1/servers/${settings.server}/zones`, settings.url)
  const call = (method: string, zone: string | null, body?: object) =>
    Effect.tryPromise({
      try: async (signal): Promise<Reply> => {
        const response = await fetch(zone === null ? base : `${base}/${zone}.`, {
          method,
          signal,
          redirect: "error",
          headers: {
            "X-API-Key": Redacted.value(settings.apiKey),
            "Content-Type": "application/json"
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) })
        })
        return { status: response.status, text: await response.text() }
      },
      // What fetch says may hold the URL with a password in it, so it is not passed on.
      catch: () => unavailable(`PowerDNS at ${base.host} does not answer.`)
    }).pipe(
      Effect.timeoutOrElse({
        duration: patience,
        orElse: () => Effect.fail(unavailable(`PowerDNS at ${base.host} is too slow.`))
      })
    )

  /** A change that has been sent happens whether or not we listen, so that we listen to its end. */
  const change = (method: string, zone: string | null, body?: object) =>
    turn.withPermit(Effect.uninterruptible(call(method, zone, body)))

  return {
    read: (zone) =>
      Effect.flatMap(call("GET", zone), (reply) =>
        reply.status === 404
          ? Effect.succeed(null)
          : reply.status === 200
            ? Effect.map(decodeZone(reply), ({ rrsets }) => rrsets)
            : refused(reply)
      ),
    create: (zone, rrsets) =>
      Effect.flatMap(
        change("POST", null, {
          name: `${zone}.`,
          kind: "Native",
          nameservers: [],
          // The only policy of 4.7 that raises the serial with each change and never repeats one.
          soa_edit_api: "DEFAULT",
          rrsets
        }),
        (reply) =>
          reply.status === 201
            ? Effect.succeed(true)
            : reply.status === 409
              ? Effect.succeed(false)
              : refused(reply)
      ),
    patch: (zone, changes) =>
      Effect.flatMap(change("PATCH", zone, { rrsets: changes }), (reply) =>
        reply.status === 204
          ? Effect.succeed(true)
          : reply.status === 404
            ? Effect.succeed(false)
            : refused(reply)
      ),
    remove: (zone) =>
      Effect.flatMap(change("DELETE", zone), (reply) =>
        reply.status === 204 || reply.status === 404 ? Effect.void : refused(reply)
      )
  }
}

const unavailable = (detail: string) => new DnsError({ reason: new Unavailable({ detail }) })

const decodeZone = ({ text }: Reply) =>
  Schema.decodeUnknownEffect(Schema.fromJsonString(ZoneBody))(text).pipe(
    Effect.mapError(() => unavailable("PowerDNS answered something else than a zone."))
  )

const ErrorBody = Schema.fromJsonString(Schema.Struct({ error: Schema.String }))

const refused = ({ status, text }: Reply): Effect.Effect<never, DnsError> => {
  if (status === 401)
    return Effect.fail(unavailable("PowerDNS refuses the key in the setting api_key."))
  if (status !== 422) return Effect.fail(unavailable(`PowerDNS answered with status ${status}.`))
  return Schema.decodeUnknownEffect(ErrorBody)(text).pipe(
    Effect.orElseSucceed(() => ({ error: "it gives no reason" })),
    Effect.flatMap(({ error }) =>
      Effect.fail(
        new DnsError({
          reason: new Rejected({
            failure: Failure.of("invalid_argument", `The name server refuses the record: ${error}`)
          })
        })
      )
    )
  )
}

export const toRrset = (record: DnsRecord): ResourceRecords => ({
  name: `${record.name}.`,
  type: record.type,
  ttl: record.ttl,
  records: contents(record).map((content) => ({ content, disabled: false }))
})

const contents = (record: DnsRecord): ReadonlyArray<string> => {
  switch (record.type) {
    case "A":
    case "AAAA":
      return record.values
    case "CNAME":
    case "NS":
      return record.values.map((name) => `${name}.`)
    case "MX":
      return record.values.map(({ preference, exchange }) => `${preference} ${exchange}.`)
    case "CAA":
      return record.values.map(
        ({ critical, tag, value }) => `${critical ? 128 : 0} ${tag} ${quote(value)}`
      )
    case "TXT":
      return record.values.map((text) => (text.match(/.{1,255}/gu) ?? []).map(quote).join(" "))
  }
}

const quote = (text: string) => `"${text.replace(/["\\]/gu, "\\$&")}"`

const decodeRecord = Schema.decodeUnknownEffect(DnsRecord)

/** Null for what is not in our words, such as SOA, or made by hand in a way we would not write. */
export const fromRrset = (rrset: ResourceRecords): Effect.Effect<DnsRecord | null> => {
  const values = rrset.records.filter(({ disabled }) => !disabled).map(({ content }) => content)
  const type = recordTypes.find((known) => known === rrset.type)
  if (type === undefined) return Effect.succeed(null)
  return decodeRecord({
    type,
    name: bare(rrset.name),
    ttl: rrset.ttl,
    values: values.map((content) => valueOf(type, content))
  }).pipe(Effect.orElseSucceed(() => null))
}

const valueOf = (type: RecordType, content: string): unknown => {
  const [first = "", second = "", ...rest] = content.split(" ")
  switch (type) {
    case "MX":
      return { preference: Number(first), exchange: bare(second) }
    case "CAA":
      return { critical: Number(first) >= 128, tag: second, value: unquote(rest.join(" ")) }
    case "TXT":
      return unquote(content)
    default:
      return type === "A" || type === "AAAA" ? content : bare(content)
  }
}

const bare = (name: string) => name.replace(/\.$/u, "").toLowerCase()

/** The strings of a text one after another: `"a" "b"` is `ab`; `\"` and `\065` stand for themselves. */
const unquote = (content: string) =>
  [...content.matchAll(/"((?:[^"\\]|\\.)*)"/gu)]
    .map(([, inner = ""]) =>
      inner.replace(/\\(\d{3}|.)/gu, (_, escaped: string) =>
        escaped.length === 3 ? String.fromCharCode(Number(escaped)) : escaped
      )
    )
    .join("")
