/** Ids and secrets from the system's random source. */
import { randomInt } from "node:crypto"
import { Ids } from "@deploy-mcp/domain/model/Ids"
import { Effect, Layer } from "effect"

const base36 = "0123456789abcdefghijklmnopqrstuvwxyz"
const base62 = `${base36}ABCDEFGHIJKLMNOPQRSTUVWXYZ`
const random = (alphabet: string, length: number) =>
  Effect.sync(() => Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join(""))

export const layer = Layer.succeed(Ids, {
  next: (prefix) => Effect.map(random(base36, 20), (value) => `${prefix}_${value}`),
  secret: (length) => random(base62, length)
})
