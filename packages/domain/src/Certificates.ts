/** Hostnames get certificates, so that clients can tell who answers. */
import { Context, type Effect, type Redacted, Schema } from "effect"
import { Failure } from "./Failure.ts"
import { Fault, Rejected } from "./Fault.ts"
import type { RecordName } from "./model/DnsRecord.ts"

export class CertificatesError extends Schema.TaggedError<CertificatesError>()(
  "CertificatesError",
  { reason: Fault }
) {
  get isRetryable() {
    return this.reason.isRetryable
  }
}

/** One or more names; `*.example.com` stands for one label in place of the star, RFC 9525. */
export type CertificateNames = readonly [RecordName, ...ReadonlyArray<RecordName>]

export interface Certificate {
  /** In PEM: the server's own first, then those that lead to a root, without the root. */
  readonly chain: string
  /** PKCS #8 in PEM. */
  readonly key: Redacted.Redacted
  /** Milliseconds since 1970, as `notAfter`. */
  readonly notBefore: number
  readonly notAfter: number
}

export class Certificates extends Context.Service<
  Certificates,
  {
    /**
     * The certificate for exactly these names, in whatever order: the one that is there while a third of
     * its life is left, then a new one with a new key. `Rejected` when clients would refuse a name.
     */
    readonly ensure: (names: CertificateNames) => Effect.Effect<Certificate, CertificatesError>
    /** Forgets the certificate for these names and its key. Succeeds also when there is none. */
    readonly remove: (names: CertificateNames) => Effect.Effect<void, CertificatesError>
    /** The roots, in PEM, that clients have to be given; none when the whole world trusts them. */
    readonly roots: Effect.Effect<ReadonlyArray<string>, CertificatesError>
  }
>()("@deploy-mcp/domain/Certificates") {}

/** Names as a set, so that their order and repetitions mean nothing. */
export const sortedNames = (names: CertificateNames): ReadonlyArray<RecordName> =>
  [...new Set(names)].sort()

/** Less than a third of its life is left. */
export const isDue = (
  { notBefore, notAfter }: Pick<Certificate, "notBefore" | "notAfter">,
  now: number
): boolean => notAfter - now < (notAfter - notBefore) / 3

/** Why no client would accept a certificate for these names, in the same words for every provider. */
export const refusal = (names: CertificateNames): CertificatesError | null => {
  const wide = names.find((name) => /^\*\.[^.]+$/u.test(name))
  if (wide === undefined) return null
  const failure = Failure.of(
    "invalid_argument",
    `Clients refuse certificates for ${wide}, because it stands for a whole top-level domain.`,
    { next: "Name the hosts one by one, or use a domain with two labels or more." }
  )
  return new CertificatesError({ reason: new Rejected({ failure }) })
}
