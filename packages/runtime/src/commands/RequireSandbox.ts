/** Where nothing fences owners' services from each other, only the platform's own owner has some. */
import { refuse } from "@deploy-mcp/domain/Failure"
import { Principal } from "@deploy-mcp/domain/model/Principal"
import { fencesOwners } from "@deploy-mcp/domain/node/FencesOwners"
import { Effect, Option } from "effect"
import { Publisher } from "../Publisher.ts"
import { AccountStore } from "../store/AccountStore.ts"

/** Fails with `no_sandbox`. While a node is away it is not asked here; it refuses by itself, too. */
export const requiringSandbox = Effect.gen(function* () {
  const accounts = yield* AccountStore
  const publisher = yield* Publisher
  return Effect.fnUntraced(function* (region: string) {
    const node = yield* publisher.node(region)
    if (!node || fencesOwners(node.isolation)) return
    const { owner } = yield* Principal
    const first = yield* accounts.firstOwner
    if (Option.isSome(first) && first.value.id === owner) return
    return yield* refuse(
      "no_sandbox",
      `region: nothing fences owners' services from each other on '${region}', so only those of the platform's own owner run there.`,
      { evidence: [...node.isolation.notes] }
    )
  })
})
