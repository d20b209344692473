/**
 * What "implements Build" means:
 *
 *     BuildConformance.suite("mine", layer, { world, source, read, leftovers, failing })
 */
import { assert, layer as withLayer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Redacted, type Scope } from "effect"
import { Build, type BuildRequest } from "../Build.ts"
import { type Artifact, ArtifactKey } from "../model/Artifact.ts"
import { OwnerId } from "../model/Ids.ts"
import type { ServiceSettings } from "../model/Service.ts"
import * as Laws from "./Laws.ts"

/** Paths and what is in them. */
export type Files = Readonly<Record<string, string>>

export interface BuildWorld<W> {
  /** What outlives an instance of the provider: folders, a registry. Made once for the suite. */
  readonly world: Layer.Layer<W, unknown>
  /** A new private checkout of these files. */
  readonly source: (files: Files) => Effect.Effect<string, unknown, W | Scope.Scope>
  /** Added to the pages of every source that builds, e.g. what makes a program and so an image of it. */
  readonly beside?: Files
  /** What is in an artifact, past the provider: in its directory, or in a container of its image. */
  readonly read: (artifact: Artifact) => Effect.Effect<Files, unknown, W>
  /** Names of all that builds have left behind, artifacts and caches aside. */
  readonly leftovers: Effect.Effect<ReadonlyArray<string>, unknown, W>
  /** A source whose build fails, best after it has printed the variable TOKEN. */
  readonly failing: Files
  /** A source whose build prints a line and then goes on for ever; absent: nothing is run. */
  readonly endless?: Files
}

const pages: Files = { "index.html": "<h1>hello</h1>", "folder/style.css": "a { color: red }" }
const secret = "a-token-that-nobody-may-see"

export const suite = <W>(
  name: string,
  provider: Layer.Layer<Build, unknown, W>,
  { world, source, beside = {}, read, leftovers, failing, endless }: BuildWorld<W>
): void => {
  const instance: Laws.Instance<Build, W | Scope.Scope> = (use) =>
    // How builds are fenced is tried out in the background at first, which would show in the world.
    Effect.provide(
      Effect.andThen(
        Build.use((build) => build.isolation),
        use
      ),
      Layer.fresh(provider),
      { local: true }
    )
  const site = { ...pages, ...beside }
  const find = (key: ArtifactKey) => Build.use((build) => build.find(key))
  const remove = (key: ArtifactKey) => Build.use((build) => build.remove(key))

  /** Plans and builds a new checkout of `files`, as the platform does. */
  const run = (key: ArtifactKey, files: Files, log: BuildRequest["log"] = () => Effect.void) =>
    Effect.gen(function* () {
      const build = yield* Build
      const directory = yield* source(files)
      const plan = yield* build.plan(directory, settings)
      const variables = { TOKEN: Redacted.make(secret) }
      return yield* build.artifact({
        key,
        owner,
        source: directory,
        settings,
        plan,
        variables,
        log
      })
    })

  withLayer(world, { excludeTestServices: true })(`${name} is a Build`, (it) => {
    it.effect("plans the same again, and only reads", () =>
      Effect.gen(function* () {
        const directory = yield* source(site)
        const plan = Build.use((build) => build.plan(directory, settings))
        const first = yield* instance(plan)
        assert.deepEqual(yield* instance(plan), first)
        assert.deepEqual(yield* instance(leftovers), [])
      })
    )

    it.effect("makes an artifact that a new instance finds, from the files of the source", () => {
      const key = keyOf(1)
      const change = run(key, site)
      const look = Effect.gen(function* () {
        const artifact = yield* find(key)
        const files = artifact === null ? {} : yield* read(artifact)
        return [artifact?.key, files["index.html"], files["folder/style.css"], yield* leftovers]
      })
      return Effect.gen(function* () {
        assert.isNull(yield* instance(find(key)))
        const expected = [key, site["index.html"], site["folder/style.css"], []]
        yield* Laws.converges({ instance, change, look }, expected)
      })
    })

    it.effect("makes one artifact of one key, also for two at once and from another source", () => {
      const key = keyOf(2)
      return Effect.gen(function* () {
        const built = new Set<string>()
        const note = (who: string) => () => Effect.sync(() => void built.add(who))
        const both = ["first", "second"].map((who) => run(key, site, note(who)))
        const [one, two] = yield* instance(Effect.all(both, { concurrency: 2 }))
        assert.deepEqual(one, two)
        assert.isAtMost(built.size, 1, "one of them built")
        const later = yield* instance(run(key, { ...site, "index.html": "another" }, note("later")))
        assert.deepEqual(later, one)
        assert.isFalse(built.has("later"), "what is there is not built again")
        assert.strictEqual((yield* read(later))["index.html"], site["index.html"])
      })
    })

    it.effect("removes an artifact, and one that is not there", () => {
      const key = keyOf(3)
      const look = Effect.all([find(key), leftovers])
      return Effect.gen(function* () {
        yield* instance(remove(key))
        const artifact = yield* instance(run(key, site))
        yield* Laws.converges({ instance, change: remove(key), look }, [null, []])
        const files = yield* Effect.orElseSucceed(read(artifact), () => ({}))
        assert.deepEqual(files, {}, "its files are gone")
        assert.deepEqual((yield* instance(run(key, site))).key, key)
      })
    })

    it.effect("lists an artifact for as long as it is kept", () => {
      const key = keyOf(7)
      const lists = Build.use(({ kept }) => kept).pipe(
        Effect.map((all) => all.filter(({ id }) => id === key))
      )
      return Effect.gen(function* () {
        assert.deepEqual(yield* instance(lists), [])
        yield* instance(run(key, site))
        const [listed, ...others] = yield* instance(lists)
        assert.strictEqual(listed?.id, key)
        assert.isAbove(listed?.at ?? 0, 0)
        assert.deepEqual(others, [])
        yield* instance(remove(key))
        assert.deepEqual(yield* instance(lists), [])
      })
    })

    it.effect("rejects a source that does not build, tells no variable, and leaves nothing", () => {
      const key = keyOf(4)
      return Effect.gen(function* () {
        yield* Laws.isRejected(instance(run(key, failing)))
        yield* Laws.failsWithoutSecrets(instance(run(key, failing)), [secret])
        assert.isNull(yield* instance(find(key)))
        assert.deepEqual(yield* instance(leftovers), [])
      })
    })

    it.effect("leaves nothing when it is cut short, and builds when it is asked again", () => {
      const key = keyOf(5)
      return Effect.gen(function* () {
        for (const cut of ["1 millis", "5 millis", "20 millis"] as const) {
          yield* instance(Effect.timeoutOption(run(key, site), cut))
          assert.deepEqual(yield* instance(leftovers), [])
          const artifact = yield* instance(run(key, site))
          assert.strictEqual((yield* read(artifact))["index.html"], site["index.html"])
          yield* instance(remove(key))
        }
      })
    })

    if (endless !== undefined) {
      it.effect("ends what it runs when it is interrupted", () => {
        const key = keyOf(6)
        return instance(
          Effect.gen(function* () {
            const started = yield* Deferred.make<void>()
            const log = (_: unknown, text: string) =>
              text.includes("endless") ? Deferred.succeed(started, undefined) : Effect.void
            const fiber = yield* Effect.forkChild(run(key, endless, log))
            yield* Effect.raceFirst(Deferred.await(started), Fiber.join(fiber))
            yield* Fiber.interrupt(fiber)
            assert.isNull(yield* find(key))
            assert.deepEqual(yield* leftovers, [])
          })
        )
      })
    }
  })
}

const owner = OwnerId.make(`own_${"c".repeat(20)}`)
const settings: ServiceSettings = { build_pack: "auto", memory: 256, cpu: 1 }

/** An artifact of its own for each test. */
const keyOf = (n: number) => ArtifactKey.make(n.toString(16).padStart(64, "c"))
