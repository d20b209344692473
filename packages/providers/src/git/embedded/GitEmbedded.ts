/** Repositories as bare folders on this machine, served by the real git. */
import { Git } from "@deploy-mcp/domain/Git"
import * as Provider from "@deploy-mcp/domain/Provider"
import { Config, Duration, Effect, Layer, Schedule } from "effect"
import { kept } from "../KeptFolders.ts"
import * as Advertisement from "./Advertisement.ts"
import { checkout } from "./Checkout.ts"
import { commitFiles } from "./CommitFiles.ts"
import { exchange } from "./Exchange.ts"
import * as GitHost from "./GitHost.ts"
import * as Receivers from "./Receivers.ts"
import { branches, head } from "./Refs.ts"
import * as Repack from "./Repack.ts"
import { ensure, remove, sweep } from "./Repositories.ts"
import * as Sizes from "./Sizes.ts"

const config = Config.all({
  /** Bytes of one push. */
  maxPushBytes: Config.Int("max_push_bytes").pipe(Config.withDefault(100 * 1024 * 1024)),
  /** How long one fetch or push can take, with the deployment that it shows. */
  timeLimit: Config.Duration("time_limit").pipe(Config.withDefault(Duration.minutes(15))),
  /**
   * Between two looks for repositories that pushes have made many small files of, which are then packed
   * together. 0: they stay as they are.
   */
  repackEvery: Config.Duration("repack_every").pipe(Config.withDefault(Duration.minutes(10))),
  /** Bytes of all files of a commit that is checked out. */
  maxSourceBytes: Config.Int("max_source_bytes").pipe(Config.withDefault(500 * 1024 * 1024)),
  /** Files of a commit that is checked out. */
  maxSourceFiles: Config.Int("max_source_files").pipe(Config.withDefault(100_000)),
  /** Where git and a shell are found. */
  path: Config.String("path").pipe(Config.withDefault("/usr/local/bin:/usr/bin:/bin"))
})

const make = (settings: Config.Success<typeof config>) =>
  Layer.effect(
    Git,
    Effect.gen(function* () {
      const { directory } = yield* Provider.Host
      const sizes = Sizes.make()
      const lasting = yield* Effect.scope
      // A machine without git still starts; every call then says what is missing.
      const host = yield* Effect.exit(GitHost.open(directory, settings.path))
      const advertise = yield* Effect.exit(Effect.flatMap(host, Advertisement.make))
      const receivers = yield* Receivers.make
      yield* Effect.flatMap(host, sweep).pipe(
        Effect.catch((error) => Effect.logWarning("Git repositories were not swept", error.reason)),
        Effect.repeat(Schedule.spaced("10 minutes")),
        Effect.forkScoped
      )
      const repacking = Repack.make(sizes)
      const { repackEvery } = settings
      if (!Duration.isZero(repackEvery)) {
        yield* Effect.flatMap(host, repacking.everyOne).pipe(
          Effect.catch(({ reason }) => Effect.logWarning("Nothing was repacked", reason)),
          Effect.delay(repackEvery),
          Effect.forever,
          Effect.forkScoped
        )
      }
      return Git.of({
        ensureRepository: (repository) =>
          Effect.flatMap(host, (host) => ensure(host, host.pathOf(repository))),
        removeRepository: (repository) =>
          Effect.flatMap(host, (host) =>
            Effect.andThen(
              repacking.without(host.pathOf(repository), remove(host, host.pathOf(repository))),
              sizes.forget(host.pathOf(repository))
            )
          ),
        kept: Effect.flatMap(host, ({ directory }) => kept(directory, false)),
        bytes: (repository) => Effect.flatMap(host, (host) => sizes.of(host.pathOf(repository))),
        head: (repository, branch) =>
          Effect.flatMap(host, (host) => head(host.pathOf(repository), branch)),
        branches: (repository) =>
          Effect.flatMap(host, (host) => branches(host, host.pathOf(repository))),
        checkout: (repository, commit, into) =>
          Effect.flatMap(host, (host) =>
            checkout(host, settings, host.pathOf(repository), commit, into)
          ),
        commit: (repository, branch, files, message) =>
          Effect.flatMap(host, (host) =>
            commitFiles(host, settings, host.pathOf(repository), branch, files, message).pipe(
              (work) => repacking.without(host.pathOf(repository), work),
              Effect.ensuring(sizes.forget(host.pathOf(repository)))
            )
          ),
        exchange: (request) =>
          Effect.flatMap(Effect.all([host, advertise]), ([host, advertise]) =>
            exchange(
              { host, advertise, receivers, repacking, sizes, limits: settings, lasting },
              request
            )
          )
      })
    })
  )

export const GitEmbedded = Provider.make({
  id: "embedded",
  service: Git,
  summary: "Git repositories on this machine, served over HTTP by the real git",
  config,
  make
})
