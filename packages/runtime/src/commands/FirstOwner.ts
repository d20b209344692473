/** A platform that has just been installed gets an owner with a petname and a key in a file. */
import { randomInt } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { OwnerName } from "@deploy-mcp/domain/model/Names"
import { allScopes } from "@deploy-mcp/domain/model/Principal"
import { Context, Effect, Layer, Option } from "effect"
import { Platform } from "../Platform.ts"
import { AccountStore } from "../store/AccountStore.ts"
import { Transactions } from "../store/Transactions.ts"
import { mintKey } from "./KeyMint.ts"

const moods =
  "awake brave calm clever eager fair gentle happy jolly keen kind lively lucky merry nimble proud quick quiet sunny swift tidy warm wise witty".split(
    " "
  )
const animals =
  "badger beaver crane dassie dingo falcon ferret finch gecko heron ibex kestrel kudu lemur lynx marten meerkat otter owl panda puffin quokka robin stork tapir wombat".split(
    " "
  )
const pick = (words: ReadonlyArray<string>) => words[randomInt(words.length)] ?? "plain"

export class FirstOwner extends Context.Service<
  FirstOwner,
  {
    readonly name: string
    /** Where the key was written; null: there was an owner before. */
    readonly keyFile: string | null
  }
>()("@deploy-mcp/runtime/commands/FirstOwner") {}

/** The file is written before the rows commit, so that a crash never leaves an owner without a key. */
const make = Effect.gen(function* () {
  const { home } = yield* Platform
  const { whole } = yield* Transactions
  const store = yield* AccountStore
  const mint = yield* mintKey
  const known = yield* store.firstOwner
  if (Option.isSome(known)) return { name: known.value.name, keyFile: null }
  const name = OwnerName.make(`${pick(moods)}-${pick(animals)}`)
  const keyFile = join(home, "owner-key")
  yield* Effect.gen(function* () {
    const { owner, user } = yield* store.addOwner(name)
    const secret = yield* mint({
      owner,
      user,
      project: null,
      name: "owner",
      scopes: allScopes,
      expiresAt: null
    })
    writeFileSync(keyFile, `${secret}\n`, { mode: 0o600 })
  }).pipe(whole)
  return { name, keyFile }
})

/** Doors that need it are opened later: who finds the platform ready also finds the key. */
export const layer = Layer.effect(FirstOwner, make)
