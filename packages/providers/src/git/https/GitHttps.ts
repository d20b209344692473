/** Public repositories of other hosts (github.com, gitlab.com, …), read over https. */
import { Git } from "@deploy-mcp/domain/Git"
import type { RepositoryId } from "@deploy-mcp/domain/model/Ids"
import * as Provider from "@deploy-mcp/domain/Provider"
import { Config, Duration, Effect, Layer } from "effect"
import { checkout } from "./Checkout.ts"
import * as GitClient from "./GitClient.ts"
import { missing, unsupported } from "./GitFault.ts"
import { type Identify, locate } from "./Identity.ts"
import * as Mirror from "./Mirror.ts"
import { branches, exists, head } from "./Refs.ts"
import { internet, type Network } from "./Tunnel.ts"

const config = Config.all({
  /** Bytes that one fetch can receive. */
  maxFetchBytes: Config.Int("DEPLOY_MCP_GIT_HTTPS_MAX_FETCH_BYTES").pipe(
    Config.withDefault(200 * 1024 * 1024)
  ),
  /** How long one fetch can take. */
  timeLimit: Config.Duration("DEPLOY_MCP_GIT_HTTPS_TIME_LIMIT").pipe(
    Config.withDefault(Duration.minutes(5))
  ),
  /** Bytes of all files of a commit that is checked out. */
  maxSourceBytes: Config.Int("DEPLOY_MCP_GIT_MAX_SOURCE_BYTES").pipe(
    Config.withDefault(500 * 1024 * 1024)
  ),
  maxSourceFiles: Config.Int("DEPLOY_MCP_GIT_MAX_SOURCE_FILES").pipe(Config.withDefault(100_000)),
  /** Bytes that are kept of all repositories together, so that the next fetch is short. */
  maxCacheBytes: Config.Int("DEPLOY_MCP_GIT_HTTPS_MAX_CACHE_BYTES").pipe(
    Config.withDefault(2 * 1024 * 1024 * 1024)
  ),
  /** A file of certificate authorities to trust instead of the machine's. */
  authorities: Config.String("DEPLOY_MCP_GIT_HTTPS_AUTHORITIES").pipe(Config.withDefault("")),
  /** Where git is found. */
  path: Config.String("PATH").pipe(Config.withDefault("/usr/local/bin:/usr/bin:/bin"))
})

/**
 * `identify` tells what an id means, as only the platform's rows know it. `network` is there for
 * tests, which speak to servers on loopback; no setting of an operator can widen it.
 */
export const GitHttps = (identify: Identify, network: Network = internet) =>
  Provider.make({
    id: "https",
    service: Git,
    summary: "Public git repositories of other hosts, read over https",
    config,
    make: (settings) =>
      Layer.effect(
        Git,
        Effect.gen(function* () {
          const { directory } = yield* Provider.Host
          // A machine without git still starts; every call then says what is missing.
          const client = yield* Effect.exit(GitClient.open(directory, settings, network))
          const located = (id: RepositoryId) =>
            Effect.flatMap(identify(id), (identity) =>
              identity === null ? Effect.succeed(null) : locate(identity)
            )
          const found = (id: RepositoryId) =>
            Effect.flatMap(located(id), (location) =>
              location === null ? Effect.fail(missing("This repository")) : Effect.succeed(location)
            )
          return Git.of({
            ensureRepository: Effect.fn("GitHttps.ensureRepository")(function* (id) {
              yield* exists(yield* client, yield* found(id))
            }),
            removeRepository: Effect.fn("GitHttps.removeRepository")(function* (id) {
              yield* Mirror.remove(yield* client, id)
            }),
            head: Effect.fn("GitHttps.head")(function* (id, branch) {
              const location = yield* located(id)
              return location === null ? null : yield* head(yield* client, location, branch)
            }),
            branches: Effect.fn("GitHttps.branches")(function* (id) {
              const location = yield* located(id)
              return location === null ? [] : yield* branches(yield* client, location)
            }),
            checkout: Effect.fn("GitHttps.checkout")(function* (id, commit, into) {
              yield* checkout(yield* client, settings, id, yield* found(id), commit, into)
            }),
            commit: () => Effect.fail(unsupported("commits to repositories of other hosts")),
            exchange: () => Effect.fail(unsupported("serving repositories of other hosts"))
          })
        })
      )
  })
