/** Hostname reaches an address: zones that are delegated to the platform, and their records. */
import { Context, type Effect, Schema } from "effect"
import { Failure } from "./Failure.ts"
import { Fault, Rejected } from "./Fault.ts"
import {
  type DnsRecord,
  type DomainName,
  isInZone,
  type RecordName,
  type RecordType,
  type Zone
} from "./model/DnsRecord.ts"

export class DnsError extends Schema.TaggedError<DnsError>()("DnsError", { reason: Fault }) {
  get isRetryable() {
    return this.reason.isRetryable
  }
}

/** Any `DnsRecord` is one too: its values are not looked at. */
export interface RecordKey {
  readonly name: RecordName
  readonly type: RecordType
}

export class Dns extends Context.Service<
  Dns,
  {
    /**
     * Makes the zone with its SOA, its name servers and its wildcard at once: nobody is ever answered
     * from a half. On a zone that is there it mends those and leaves the other records alone.
     */
    readonly ensureZone: (zone: Zone) => Effect.Effect<void, DnsError>
    /** Removes a zone and all its records. Succeeds also when there is nothing to remove. */
    readonly removeZone: (zone: DomainName) => Effect.Effect<void, DnsError>
    /** Every record of the zone without its SOA; `Rejected` when there is no such zone. */
    readonly records: (zone: DomainName) => Effect.Effect<ReadonlyArray<DnsRecord>, DnsError>
    /**
     * Makes `record` the only one of its name and type and raises the zone's serial. `Rejected` when
     * there is no such zone, when the name is outside, or when a CNAME would stand beside others;
     * `Unsupported` when the backend does not know the type.
     */
    readonly put: (zone: DomainName, record: DnsRecord) => Effect.Effect<void, DnsError>
    /** Succeeds also when there is nothing to remove, be it the record or the zone. */
    readonly remove: (zone: DomainName, record: RecordKey) => Effect.Effect<void, DnsError>
  }
>()("@deploy-mcp/domain/Dns") {}

const rejected = (...failure: Parameters<typeof Failure.of>) =>
  new DnsError({ reason: new Rejected({ failure: Failure.of(...failure) }) })

export const zoneMissing = (zone: DomainName): DnsError =>
  rejected("not_found", `There is no zone ${zone}.`, { next: "Activate the zone first." })

/** Why `record` cannot stand in this zone beside what is there, in the same words for every provider. */
export const conflict = (
  zone: DomainName,
  record: DnsRecord,
  there: ReadonlyArray<RecordKey>
): DnsError | null => {
  if (!isInZone(record.name, zone)) {
    return rejected("invalid_argument", `${record.name} is not inside the zone ${zone}.`, {
      next: `Use a name that ends in .${zone}.`
    })
  }
  const others = there.filter(({ name, type }) => name === record.name && type !== record.type)
  const alias = record.type === "CNAME" ? record : others.find(({ type }) => type === "CNAME")
  if (alias !== undefined && (record.name === String(zone) || others.length > 0)) {
    return rejected(
      "invalid_argument",
      `${record.name} cannot have a CNAME and other records at once.`,
      { next: "Remove the others first, or use A records instead of the CNAME." }
    )
  }
  if (record.type === "CNAME" && record.values.length > 1) {
    return rejected("invalid_argument", `${record.name} can have one CNAME only.`)
  }
  return null
}
