/** Makes API keys. The secret exists in the answer alone; the store keeps its bcrypt hash. */
import { Ids } from "@deploy-mcp/domain/model/Ids"
import { hash } from "@node-rs/bcrypt"
import { Effect } from "effect"
import { AccountStore } from "../store/AccountStore.ts"

/** `dk_live_`, 8 public and 35 secret characters of base 62: 208 secret bits. */
export const keyForm = /^dk_live_([0-9A-Za-z]{8})([0-9A-Za-z]{35})$/
const bcryptCost = 10

/** A function that stores a key and returns its secret, or null when the name is taken. */
export const mintKey = Effect.gen(function* () {
  const store = yield* AccountStore
  const ids = yield* Ids
  return Effect.fnUntraced(function* (
    key: Omit<Parameters<typeof store.addKey>[0], "prefix" | "hash">
  ) {
    const prefix = yield* ids.secret(8)
    const secret = `dk_live_${prefix}${yield* ids.secret(35)}`
    const stored = yield* Effect.promise(() => hash(secret, { cost: bcryptCost }))
    const added = yield* store.addKey({ ...key, prefix, hash: stored })
    return added ? secret : null
  })
})
