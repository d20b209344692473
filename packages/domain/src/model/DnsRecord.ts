/** Names, records and zones of DNS: what may be asked of a name server, whoever runs it. */
import { Schema } from "effect"

const labels = String.raw`[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*`

const text = (rule: RegExp, message: string) =>
  Schema.String.pipe(Schema.check(Schema.isPattern(rule, { message })))

/** A full name without the final dot, in lower case; internationalised names in their `xn--` form. */
export const DomainName = text(
  new RegExp(`^(?=.{1,253}$)${labels}$`, "u"),
  "a domain name of at most 253 characters in lower case, without a final dot, e.g. apps.example.com"
).pipe(Schema.brand("DomainName"))
export type DomainName = typeof DomainName.Type

/** What a record may be called: a domain name, or one whose first label is `*`. */
export const RecordName = text(
  new RegExp(String.raw`^(?=.{1,253}$)(\*\.)?${labels}$`, "u"),
  "a domain name in lower case, without a final dot, where the first label may be '*', e.g. *.apps.example.com"
).pipe(Schema.brand("RecordName"))
export type RecordName = typeof RecordName.Type

const octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
export const Ipv4 = text(
  new RegExp(String.raw`^${octet}(\.${octet}){3}$`, "u"),
  "an IPv4 address, e.g. 192.0.2.1"
).pipe(Schema.brand("Ipv4"))
export type Ipv4 = typeof Ipv4.Type

/** One spelling for each address, so that what was asked for can be compared with what is there. */
export const Ipv6 = Schema.String.pipe(
  Schema.check(
    Schema.makeFilter(
      (address) =>
        /^[0-9a-f:]+$/.test(address) &&
        URL.canParse(`http://[${address}]/`) &&
        new URL(`http://[${address}]/`).hostname === `[${address}]`,
      { message: "an IPv6 address in its shortest form in lower case, e.g. 2001:db8::1" }
    )
  ),
  Schema.brand("Ipv6")
)
export type Ipv6 = typeof Ipv6.Type

/** Longer than 255 characters is several strings on the wire and one again for whoever reads it. */
export const Text = text(/^[\x20-\x7e]{1,2048}$/u, "1 to 2048 printable ASCII characters").pipe(
  Schema.brand("Text")
)

const MailServer = Schema.Struct({
  /** Lower is tried first. */
  preference: Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))),
  exchange: DomainName
})

/** Who may issue certificates for a name, RFC 8659. */
const CertificateRule = Schema.Struct({
  /** An authority that does not understand `tag` must not issue. */
  critical: Schema.Boolean,
  tag: Schema.Literals(["issue", "issuewild", "iodef"]),
  value: text(/^[\x20-\x7e]{0,255}$/u, "at most 255 printable ASCII characters")
})

const Ttl = Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 1, maximum: 604_800 })))

const record = <const Type extends string, Value extends Schema.Top>(type: Type, value: Value) =>
  Schema.Struct({
    type: Schema.Literal(type),
    name: RecordName,
    /** Seconds. */
    ttl: Ttl,
    /** A set: the order means nothing. */
    values: Schema.NonEmptyArray(value)
  })

/** All that is said of one name in one type. */
export const DnsRecord = Schema.Union([
  record("A", Ipv4),
  record("AAAA", Ipv6),
  record("CNAME", DomainName),
  record("TXT", Text),
  record("NS", DomainName),
  record("CAA", CertificateRule),
  record("MX", MailServer)
])
export type DnsRecord = typeof DnsRecord.Type
export type RecordType = DnsRecord["type"]
export const recordTypes: ReadonlyArray<RecordType> = [
  "A",
  "AAAA",
  "CNAME",
  "TXT",
  "NS",
  "CAA",
  "MX"
]

/** A delegated zone with which every name below it leads to the platform. */
export const Zone = Schema.Struct({
  name: DomainName,
  /** Its NS records; the first one is named in the SOA. */
  nameServers: Schema.NonEmptyArray(DomainName),
  /** Where `*.<name>` leads. */
  addresses: Schema.NonEmptyArray(Ipv4),
  /** Seconds, of these records. */
  ttl: Ttl
})
export type Zone = typeof Zone.Type

/** What a zone consists of from its first moment, beside its SOA. */
export const zoneRecords = (zone: Zone): readonly [DnsRecord, DnsRecord] => [
  { type: "NS", name: RecordName.make(zone.name), ttl: zone.ttl, values: zone.nameServers },
  { type: "A", name: RecordName.make(`*.${zone.name}`), ttl: zone.ttl, values: zone.addresses }
]

export const isInZone = (name: string, zone: DomainName): boolean =>
  name === zone || name.endsWith(`.${zone}`)

/** Values as zone files write them, except that TXT is the bare text: for comparing and for showing. */
export const textOf = (record: DnsRecord): ReadonlyArray<string> => {
  switch (record.type) {
    case "MX":
      return record.values.map(({ preference, exchange }) => `${preference} ${exchange}`)
    case "CAA":
      return record.values.map(
        ({ critical, tag, value }) => `${critical ? 128 : 0} ${tag} ${JSON.stringify(value)}`
      )
    default:
      return record.values
  }
}
