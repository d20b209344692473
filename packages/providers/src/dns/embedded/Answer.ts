/** What an authoritative server says to a question, RFC 1034 section 4.3.2 and RFC 4592. Not exported. */
import type { DnsRecord, RecordType } from "@deploy-mcp/domain/model/DnsRecord"
import type * as Packet from "dns-packet"
import type { StoredZone } from "./Zones.ts"

export interface Answer {
  readonly code: "NOERROR" | "NXDOMAIN" | "REFUSED"
  readonly authoritative: boolean
  readonly answers: ReadonlyArray<Packet.Answer>
  readonly authorities: ReadonlyArray<Packet.Answer>
  readonly additionals: ReadonlyArray<Packet.Answer>
}

const longestChain = 8

/** `question.name` as it was asked; letters compare without regard to case and are echoed as they came. */
export const answer = (
  zones: ReadonlyMap<string, StoredZone>,
  question: { readonly name: string; readonly type: string }
): Answer => {
  const zone = zoneOf(zones, question.name.toLowerCase())
  if (zone === undefined) {
    return { code: "REFUSED", authoritative: false, answers: [], authorities: [], additionals: [] }
  }
  const answers: Array<Packet.Answer> = []
  let asked = question.name
  for (let length = 0; length < longestChain; length += 1) {
    const name = asked.toLowerCase()
    const cut = cutAbove(zone, name)
    if (cut !== undefined) return referral(zone, cut, answers)
    const owner = ownerOf(zone, name)
    if (owner === undefined) return negative(zone, "NXDOMAIN", answers)
    const here = zone.records.filter((record) => record.name === owner)
    const found = here.filter((record) => record.type === question.type)
    answers.push(...found.flatMap((record) => toWire(record, asked)))
    if (found.length > 0) return positive(answers)
    if (question.type === "SOA" && owner === zone.name) return positive([...answers, soa(zone)])
    if (question.type === "ANY" && here.length > 0) return positive([...answers, refusedAny(asked)])
    const alias = here.find((record) => record.type === "CNAME")
    if (alias?.type !== "CNAME") return negative(zone, "NOERROR", answers)
    answers.push(...toWire(alias, asked))
    asked = alias.values[0]
    if (zoneOf(zones, asked) !== zone) return positive(answers)
  }
  return positive(answers)
}

const zoneOf = (zones: ReadonlyMap<string, StoredZone>, name: string): StoredZone | undefined => {
  for (let suffix = name; ; suffix = parentOf(suffix)) {
    const zone = zones.get(suffix)
    if (zone !== undefined || !suffix.includes(".")) return zone
  }
}

/** The highest delegation at or above a name: what is below it is another server's to say. */
const cutAbove = (zone: StoredZone, name: string): DnsRecord | undefined =>
  zone.records
    .filter((record) => record.type === "NS" && record.name !== String(zone.name))
    .filter((record) => name === record.name || name.endsWith(`.${record.name}`))
    .sort((left, right) => left.name.length - right.name.length)[0]

/** The name itself when it is there, even without records of its own; else the wildcard that covers it. */
const ownerOf = (zone: StoredZone, name: string): string | undefined => {
  const exists = (candidate: string) =>
    candidate === zone.name ||
    zone.records.some(
      (record) => record.name === candidate || record.name.endsWith(`.${candidate}`)
    )
  if (exists(name)) return name
  let encloser = parentOf(name)
  while (!exists(encloser)) encloser = parentOf(encloser)
  const wildcard = `*.${encloser}`
  return exists(wildcard) ? wildcard : undefined
}

const positive = (answers: ReadonlyArray<Packet.Answer>): Answer => ({
  code: "NOERROR",
  authoritative: true,
  answers,
  authorities: [],
  additionals: []
})

/** The SOA beside it says for how long the absence may be remembered, RFC 2308. */
const negative = (
  zone: StoredZone,
  code: "NOERROR" | "NXDOMAIN",
  answers: ReadonlyArray<Packet.Answer>
): Answer => ({ ...positive(answers), code, authorities: [soa(zone)] })

const referral = (
  zone: StoredZone,
  cut: DnsRecord,
  answers: ReadonlyArray<Packet.Answer>
): Answer => {
  const servers = new Set<string>(cut.type === "NS" ? cut.values : [])
  const glue = zone.records.filter(
    ({ name, type }) => servers.has(name) && (type === "A" || type === "AAAA")
  )
  return {
    code: "NOERROR",
    // The first name's owner decides, RFC 1035 section 4.1.1: an alias of ours was answered by us.
    authoritative: answers.length > 0,
    answers,
    authorities: toWire(cut, cut.name),
    additionals: glue.flatMap((record) => toWire(record, record.name))
  }
}

const negativeTtl = 60

const soa = (zone: StoredZone): Packet.Answer => {
  const servers = zone.records.find(({ name, type }) => type === "NS" && name === `${zone.name}`)
  return {
    type: "SOA",
    name: zone.name,
    ttl: negativeTtl,
    data: {
      mname: servers?.type === "NS" ? servers.values[0] : zone.name,
      rname: `hostmaster.${zone.name}`,
      serial: zone.serial,
      refresh: 3600,
      retry: 600,
      expire: 1_209_600,
      minimum: negativeTtl
    }
  }
}

/** All records of a name would be a gift to whoever forges the sender's address, RFC 8482. */
const refusedAny = (name: string): Packet.Answer => ({
  type: "HINFO",
  name,
  ttl: 3600,
  data: { cpu: "RFC8482", os: "" }
})

/** Fresh values each time: the encoder changes the arrays of a TXT that it is given. */
const toWire = (record: DnsRecord, name: string): Array<Packet.Answer> => {
  const { ttl, type } = record
  switch (type) {
    case "TXT":
      return record.values.map((text) => ({
        type,
        name,
        ttl,
        data: text.match(/.{1,255}/gu) ?? [""]
      }))
    case "MX":
      return record.values.map((data) => ({ type, name, ttl, data: { ...data } }))
    case "CAA":
      return record.values.map(({ critical, tag, value }) => ({
        type,
        name,
        ttl,
        data: { flags: critical ? 128 : 0, issuerCritical: critical, tag, value }
      }))
    default:
      return toWireNames(type, record.values, name, ttl)
  }
}

const toWireNames = (
  type: Exclude<RecordType, "TXT" | "MX" | "CAA">,
  values: ReadonlyArray<string>,
  name: string,
  ttl: number
): Array<Packet.Answer> => values.map((data) => ({ type, name, ttl, data }))

const parentOf = (name: string) => name.slice(name.indexOf(".") + 1)
