/** An authority and a server's certificate, made for one test, so that no key lies in the sources. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto"

export const certificates = (names: ReadonlyArray<string>) => {
  const authority = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const server = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const issuer = "An authority for tests"
  return {
    authority: certificate(issuer, issuer, authority.publicKey, authority.privateKey, [
      // basicConstraints: critical, CA
      sequence(
        oid("551d13"),
        der(1, Buffer.from([255])),
        octets(sequence(der(1, Buffer.from([255]))))
      )
    ]),
    certificate: certificate(issuer, "server", server.publicKey, authority.privateKey, [
      // subjectAltName
      sequence(
        oid("551d11"),
        octets(sequence(...names.map((name) => der(0x82, Buffer.from(name)))))
      )
    ]),
    key: server.privateKey.export({ type: "pkcs8", format: "pem" }).toString()
  }
}

const certificate = (
  issuer: string,
  subject: string,
  key: KeyObject,
  signer: KeyObject,
  extensions: ReadonlyArray<Buffer>
) => {
  const body = sequence(
    der(0xa0, der(2, Buffer.from([2]))),
    der(2, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    commonName(issuer),
    sequence(der(0x17, Buffer.from("200101000000Z")), der(0x17, Buffer.from("491231000000Z"))),
    commonName(subject),
    key.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(...extensions))
  )
  const signature = sign("sha256", body, signer)
  const whole = sequence(
    body,
    ecdsaWithSha256,
    der(3, Buffer.concat([Buffer.from([0]), signature]))
  )
  const lines = whole.toString("base64").match(/.{1,64}/g) ?? []
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n")
}

const der = (tag: number, content: Buffer): Buffer => {
  const { length } = content
  const size = length < 128 ? [length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const sequence = (...parts: ReadonlyArray<Buffer>) => der(0x30, Buffer.concat(parts))
const octets = (content: Buffer) => der(4, content)
const oid = (hex: string) => der(6, Buffer.from(hex, "hex"))
const ecdsaWithSha256 = sequence(oid("2a8648ce3d040302"))
const commonName = (name: string) =>
  sequence(der(0x31, sequence(oid("550403"), der(0x0c, Buffer.from(name)))))
