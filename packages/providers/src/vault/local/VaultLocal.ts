/** Values sealed with AES-256-GCM under a key of the operator's, or one kept in a file of its own. */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  randomBytes
} from "node:crypto"
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { Host, make } from "@deploy-mcp/domain/Provider"
import { Vault, VaultError } from "@deploy-mcp/domain/Vault"
import { Config, Effect, Layer, Option, Redacted, Schema } from "effect"

const keyBytes = 32

const KeyText = Schema.String.check(
  Schema.makeFilter((text: string) =>
    Buffer.from(text.trim(), "base64").length === keyBytes
      ? undefined
      : `expected ${keyBytes} bytes in base64`
  )
)

const config = Config.all({
  /** 32 random bytes in base64, e.g. from `openssl rand -base64 32`; else made once and kept in `vault.key`. */
  key: Config.option(Config.schema(Schema.RedactedFromValue(KeyText), "key"))
})

const layer = (settings: Config.Success<typeof config>) =>
  Layer.effect(
    Vault,
    Effect.gen(function* () {
      const host = yield* Host
      const key = yield* Effect.sync(() =>
        Option.match(settings.key, {
          onNone: () => keyFromFile(join(host.directory, "vault.key")),
          onSome: (given) => parseKey(Redacted.value(given), "the setting key of the vault")
        })
      )
      const keyId = createHash("sha256").update(key).digest("hex").slice(0, 8)
      const fingerprintKey = Buffer.from(hkdfSync("sha256", key, "", "deploy-mcp fingerprint", 32))
      return {
        seal: (value, context) =>
          Effect.sync(() => {
            const nonce = randomBytes(12)
            const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(context))
            const sealed = Buffer.concat([
              cipher.update(Redacted.value(value), "utf8"),
              cipher.final(),
              cipher.getAuthTag()
            ])
            return ["v1", keyId, nonce.toString("base64url"), sealed.toString("base64url")].join(
              "."
            )
          }),
        open: (sealed, context) =>
          Effect.try({
            try: () => {
              const [version, id, nonce, text, ...more] = sealed.split(".")
              if (version !== "v1" || id !== keyId || !nonce || !text || more.length > 0) {
                throw new Error("other key")
              }
              const bytes = Buffer.from(text, "base64url")
              const iv = Buffer.from(nonce, "base64url")
              // Without the length a tag of four bytes would do, which can be guessed.
              const opened = createDecipheriv("aes-256-gcm", key, iv, { authTagLength: 16 })
                .setAAD(Buffer.from(context))
                .setAuthTag(bytes.subarray(-16))
              return Redacted.make(
                Buffer.concat([opened.update(bytes.subarray(0, -16)), opened.final()]).toString(
                  "utf8"
                )
              )
            },
            catch: () => new VaultError({ keyId: sealed.split(".")[1] ?? "unknown" })
          }),
        fingerprint: (value) =>
          Effect.sync(() =>
            createHmac("sha256", fingerprintKey)
              .update(Redacted.value(value))
              .digest("hex")
              .slice(0, 16)
          )
      }
    })
  )

/** Made once; two processes that make it at the same time end up with the same one. */
const keyFromFile = (file: string): Buffer => {
  if (!existsSync(file)) {
    mkdirSync(join(file, ".."), { recursive: true, mode: 0o700 })
    const draft = `${file}.${randomBytes(6).toString("hex")}`
    writeFileSync(draft, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 })
    try {
      linkSync(draft, file)
    } catch (cause) {
      if (!existsSync(file)) throw cause
    } finally {
      rmSync(draft)
    }
  }
  chmodSync(file, 0o600)
  return parseKey(readFileSync(file, "utf8"), file)
}

const parseKey = (text: string, source: string): Buffer => {
  const key = Buffer.from(text.trim(), "base64")
  if (key.length !== keyBytes) throw new Error(`${source} must hold ${keyBytes} bytes in base64`)
  return key
}

export const VaultLocal = make({
  id: "local",
  service: Vault,
  summary: "AES-256-GCM under one key from the environment or a file.",
  config,
  make: layer
})
