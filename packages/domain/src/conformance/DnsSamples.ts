/** The zones and records that the Dns kit tries. Names and addresses are reserved for documentation. */
import {
  type DnsRecord,
  DomainName,
  Ipv4,
  Ipv6,
  RecordName,
  type RecordType,
  Text,
  textOf,
  type Zone
} from "../model/DnsRecord.ts"

/** A zone of its own for each test. */
export const zoneOf = (label: string): Zone => ({
  name: DomainName.make(`${label}.conformance.test`),
  nameServers: [DomainName.make("ns1.platform.test"), DomainName.make("ns2.platform.test")],
  addresses: [Ipv4.make("192.0.2.1"), Ipv4.make("192.0.2.2")],
  ttl: 60
})

export const recordOf = (type: RecordType, zone: Zone): DnsRecord => {
  const at = { name: RecordName.make(`${type.toLowerCase()}.${zone.name}`), ttl: 120 }
  const [one, two] = [DomainName.make("one.platform.test"), DomainName.make("two.platform.test")]
  switch (type) {
    case "A":
      return { ...at, type, values: [Ipv4.make("198.51.100.7"), Ipv4.make("198.51.100.8")] }
    case "AAAA":
      return { ...at, type, values: [Ipv6.make("2001:db8::7"), Ipv6.make("2001:db8::8")] }
    case "CNAME":
      return { ...at, type, values: [one] }
    case "NS":
      return { ...at, type, values: [one, two] }
    case "TXT": {
      const challenge = Text.make(`a "quoted" back\\slash; semicolon`)
      return { ...at, type, values: [challenge, Text.make("long".repeat(150))] }
    }
    case "CAA":
      return {
        ...at,
        type,
        values: [
          { critical: true, tag: "issue", value: "ca.test" },
          { critical: false, tag: "iodef", value: "mailto:security@platform.test" }
        ]
      }
    case "MX":
      return {
        ...at,
        type,
        values: [
          { preference: 10, exchange: one },
          { preference: 20, exchange: two }
        ]
      }
  }
}

/** The same record with the first of its values alone. */
export const oneValue = (record: DnsRecord): DnsRecord => {
  switch (record.type) {
    case "A":
      return { ...record, values: [record.values[0]] }
    case "AAAA":
      return { ...record, values: [record.values[0]] }
    case "CAA":
      return { ...record, values: [record.values[0]] }
    case "MX":
      return { ...record, values: [record.values[0]] }
    case "TXT":
      return { ...record, values: [record.values[0]] }
    default:
      return { ...record, values: [record.values[0]] }
  }
}

/** What a listing says of a record. */
export const listed = (all: ReadonlyArray<DnsRecord>, { name, type }: DnsRecord) =>
  all
    .filter((record) => record.name === name && record.type === type)
    .flatMap(textOf)
    .toSorted()
