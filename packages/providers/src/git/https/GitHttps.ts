/** Public repositories of other hosts (github.com, gitlab.com, …), read over https. */
import { Git } from "@deploy-mcp/domain/Git"
import * as Provider from "@deploy-mcp/domain/Provider"
import { Config, Duration, Effect, Layer } from "effect"
import { unsupported } from "../GitFault.ts"
import { kept } from "../KeptFolders.ts"
import { checkout } from "./Checkout.ts"
import * as GitClient from "./GitClient.ts"
import { locate } from "./Identity.ts"
import * as Mirror from "./Mirror.ts"
import { branches, exists, head } from "./Refs.ts"
import { internet, type Network } from "./Tunnel.ts"

const config = Config.all({
  /** Bytes that one fetch can receive. */
  maxFetchBytes: Config.Int("max_fetch_bytes").pipe(Config.withDefault(200 * 1024 * 1024)),
  /** How long one fetch can take. */
  timeLimit: Config.Duration("time_limit").pipe(Config.withDefault(Duration.minutes(5))),
  /** Bytes of all files of a commit that is checked out. */
  maxSourceBytes: Config.Int("max_source_bytes").pipe(Config.withDefault(500 * 1024 * 1024)),
  /** Files of a commit that is checked out. */
  maxSourceFiles: Config.Int("max_source_files").pipe(Config.withDefault(100_000)),
  /** Bytes that are kept of all repositories together, so that the next fetch is short. */
  maxCacheBytes: Config.Int("max_cache_bytes").pipe(Config.withDefault(2 * 1024 * 1024 * 1024)),
  /** A file of certificate authorities to trust instead of the machine's. */
  authorities: Config.String("authorities").pipe(Config.withDefault("")),
  /** Where git is found. */
  path: Config.String("path").pipe(Config.withDefault("/usr/local/bin:/usr/bin:/bin"))
})

const layer =
  (network: Network) =>
  (settings: Config.Success<typeof config>): Layer.Layer<Git, never, Provider.Host> =>
    Layer.effect(
      Git,
      Effect.gen(function* () {
        const { directory } = yield* Provider.Host
        // A machine without git still starts; every call then says what is missing.
        const client = yield* Effect.exit(GitClient.open(directory, settings, network))
        return Git.of({
          ensureRepository: Effect.fn("GitHttps.ensureRepository")(function* (repository) {
            yield* exists(yield* client, yield* locate(repository))
          }),
          removeRepository: Effect.fn("GitHttps.removeRepository")(function* ({ id }) {
            yield* Mirror.remove(yield* client, id)
          }),
          kept: Effect.flatMap(client, ({ mirrors }) => kept(mirrors, true)),
          bytes: () => Effect.succeed(0),
          head: Effect.fn("GitHttps.head")(function* (repository, branch) {
            return yield* head(yield* client, yield* locate(repository), branch)
          }),
          branches: Effect.fn("GitHttps.branches")(function* (repository) {
            return yield* branches(yield* client, yield* locate(repository))
          }),
          checkout: Effect.fn("GitHttps.checkout")(function* (repository, commit, into) {
            const location = yield* locate(repository)
            yield* checkout(yield* client, settings, repository.id, location, commit, into)
          }),
          commit: () => Effect.fail(unsupported("commits to repositories of other hosts")),
          exchange: () => Effect.fail(unsupported("serving repositories of other hosts"))
        })
      })
    )

/** `network` is there for tests, which speak to servers on loopback; no setting can widen it. */
export const onNetwork = (network: Network) =>
  Provider.make({
    id: "https",
    service: Git,
    summary: "Public git repositories of other hosts, read over https",
    config,
    make: layer(network)
  })

export const GitHttps = onNetwork(internet)
