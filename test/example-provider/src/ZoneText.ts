/** The text of a zone file: one line for each value. */
import { DnsRecord, type DomainName } from "@deploy-mcp/domain/model/DnsRecord"
import { Schema } from "effect"

export interface ZoneText {
  readonly serial: number
  readonly records: ReadonlyArray<DnsRecord>
}

const decode = Schema.decodeUnknownSync(DnsRecord)

export const print = (zone: DomainName, { serial, records }: ZoneText): string => {
  const soa = `${zone}. 60 IN SOA ${zone}. hostmaster.${zone}. ${serial} 3600 600 1209600 60`
  return `${[soa, ...records.flatMap(lines)].join("\n")}\n`
}

const lines = (record: DnsRecord) =>
  data(record).map((text) => `${record.name}. ${record.ttl} IN ${record.type} ${text}`)

const data = (record: DnsRecord): ReadonlyArray<string> => {
  switch (record.type) {
    case "TXT":
      return record.values.map((text) =>
        (text.match(/.{1,255}/gu) ?? []).map((part) => JSON.stringify(part)).join(" ")
      )
    case "MX":
      return record.values.map(({ preference, exchange }) => `${preference} ${exchange}.`)
    case "A":
    case "AAAA":
      return record.values
    case "CNAME":
    case "NS":
      return record.values.map((name) => `${name}.`)
    case "CAA":
      return []
  }
}

export const parse = (text: string): ZoneText => {
  const [soa = "", ...rest] = text.trim().split("\n")
  const grouped = Map.groupBy(rest, (line) => line.split(" ", 4).join(" "))
  return {
    serial: Number(soa.split(" ")[6]),
    records: [...grouped].map(([head, same]) => {
      const [name = "", ttl, , type = ""] = head.split(" ")
      const values = same.map((line) => valueOf(type, line.slice(head.length + 1)))
      return decode({ name: bare(name), ttl: Number(ttl), type, values })
    })
  }
}

const valueOf = (type: string, text: string): unknown => {
  if (type === "A" || type === "AAAA") return text
  if (type === "MX") {
    const [preference, exchange = ""] = text.split(" ")
    return { preference: Number(preference), exchange: bare(exchange) }
  }
  if (type !== "TXT") return bare(text)
  const parts = text.match(/"([^"\\]|\\.)*"/gu) ?? []
  return parts.map((part): unknown => JSON.parse(part)).join("")
}

const bare = (name: string) => name.replace(/\.$/u, "")
