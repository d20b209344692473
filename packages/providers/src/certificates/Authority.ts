/** A root of our own and the certificates that it signs, as RFC 5280 wants them. */
import { type webcrypto, X509Certificate } from "node:crypto"
import {
  type Certificate,
  type CertificateNames,
  isDue,
  sortedNames
} from "@deploy-mcp/domain/Certificates"
import type * as X509 from "@peculiar/x509"
import { Clock, Effect, Redacted } from "effect"
import { SecureRandom, WebCrypto } from "effect/crypto"

/** A certificate and its private key, which is PKCS #8; both in PEM. */
export interface KeyPair {
  readonly certificate: string
  readonly key: string
}

const day = 24 * 60 * 60 * 1000
const leafLife = 90 * day
const rootLife = 3650 * day
/** Clocks of other machines may be behind ours by so much. */
const slack = 60 * 60 * 1000

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }

export const newRoot = Effect.gen(function* () {
  const { x509, crypto, random } = yield* tools
  const keys = yield* newKeys
  const mark = Buffer.from(yield* random.randomBytes(4)).toString("hex")
  const extensions = [
    // It signs servers' certificates and no further authority.
    new x509.BasicConstraintsExtension(true, 0, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    yield* Effect.promise(() =>
      x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, crypto)
    )
  ]
  const common = { ...(yield* serialAndLife(rootLife)), signingAlgorithm: algorithm, extensions }
  // The mark tells people the roots of two machines apart.
  const name = `CN=Deploy MCP development root ${mark}`
  const root = yield* Effect.promise(() =>
    x509.X509CertificateGenerator.createSelfSigned({ ...common, name, keys }, crypto)
  )
  return yield* keyPair(root, keys)
})

/** A server's certificate. Its names are in the SAN alone, which is critical because nothing else names it. */
export const issue = (root: KeyPair, names: CertificateNames) =>
  Effect.gen(function* () {
    const { x509, crypto } = yield* tools
    const keys = yield* newKeys
    const signer = new x509.X509Certificate(root.certificate)
    const rootKey = yield* Effect.promise(() =>
      crypto.subtle.importKey("pkcs8", x509.PemConverter.decodeFirst(root.key), algorithm, false, [
        "sign"
      ])
    )
    const extensions = [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        sortedNames(names).map((value) => ({ type: "dns" as const, value })),
        true
      ),
      yield* Effect.promise(() =>
        x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, crypto)
      ),
      yield* Effect.promise(() =>
        x509.AuthorityKeyIdentifierExtension.create(signer.publicKey, false, crypto)
      )
    ]
    const common = { ...(yield* serialAndLife(leafLife)), signingAlgorithm: algorithm, extensions }
    const subject = { publicKey: keys.publicKey, issuer: signer.subject, signingKey: rootKey }
    const leaf = yield* Effect.promise(() =>
      x509.X509CertificateGenerator.create({ ...common, ...subject }, crypto)
    )
    return yield* keyPair(leaf, keys)
  })

/** What is kept still serves: it is of this root, for these names, and a third of its life is left. */
export const isGood = (
  { certificate }: KeyPair,
  root: KeyPair,
  names: CertificateNames,
  now: number
): boolean => {
  const leaf = new X509Certificate(certificate)
  const wanted = sortedNames(names).map((name) => `DNS:${name}`)
  return (
    leaf.subjectAltName === wanted.join(", ") &&
    leaf.verify(new X509Certificate(root.certificate).publicKey) &&
    !isDue(lifeOf(certificate), now)
  )
}

/** A root that would end before a certificate that it signs now. */
export const isEnding = ({ certificate }: KeyPair, now: number): boolean =>
  lifeOf(certificate).notAfter < now + leafLife

export const answerOf = ({ certificate, key }: KeyPair): Certificate => ({
  chain: certificate,
  key: Redacted.make(key),
  ...lifeOf(certificate)
})

const lifeOf = (certificate: string) => {
  const { validFromDate, validToDate } = new X509Certificate(certificate)
  return { notBefore: validFromDate.getTime(), notAfter: validToDate.getTime() }
}

/** The library is loaded when it is used. It wants the other one to be there before it. */
const library = Effect.promise(() =>
  import("reflect-metadata").then(() => import("@peculiar/x509"))
)

const tools = Effect.all({
  x509: library,
  crypto: WebCrypto.WebCrypto,
  random: SecureRandom.SecureRandom
})

const newKeys = Effect.flatMap(WebCrypto.WebCrypto, (crypto) =>
  Effect.promise(() => crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]))
)

/** A positive serial number of 16 bytes, and times in whole seconds. */
const serialAndLife = (life: number) =>
  Effect.gen(function* () {
    const random = yield* SecureRandom.SecureRandom
    const serial = Buffer.from(yield* random.randomBytes(16))
    serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40
    const now = yield* Clock.currentTimeMillis
    const notBefore = new Date(Math.floor((now - slack) / 1000) * 1000)
    return {
      serialNumber: serial.toString("hex"),
      notBefore,
      notAfter: new Date(notBefore.getTime() + life)
    }
  })

const keyPair = (certificate: X509.X509Certificate, { privateKey }: webcrypto.CryptoKeyPair) =>
  Effect.gen(function* () {
    const { x509, crypto } = yield* tools
    const bytes = yield* Effect.promise(() => crypto.subtle.exportKey("pkcs8", privateKey))
    return {
      certificate: `${certificate.toString("pem")}\n`,
      key: `${x509.PemConverter.encode(bytes, x509.PemConverter.PrivateKeyTag)}\n`
    }
  })
