/** Repositories that 200 pushes of the real git have made many small files of. */
import { existsSync } from "node:fs"
import { cp, readdir, rename, stat, truncate, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Git } from "@deploy-mcp/domain/Git"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Schedule, Stream } from "effect"
import {
  ask,
  bare,
  commit,
  emptyPush,
  files,
  folder,
  main,
  nextRepository,
  provider,
  providerAt,
  repository,
  run
} from "./GitEmbedded.world.ts"
import * as GitHost from "./GitHost.ts"
import * as Repack from "./Repack.ts"
import * as Sizes from "./Sizes.ts"

const pushes = 200
const often = Schedule.spaced("10 millis")
/** How often something happens before a repack has ended, each time at another place of it. */
const times = 6

class Pushed extends Context.Service<
  Pushed,
  {
    /** Of the bare repository. */
    readonly path: string
    readonly work: string
    /** Milliseconds that a repack of it takes. */
    readonly whole: number
  }
>()("test/Pushed") {}

const pushed = Layer.effect(
  Pushed,
  Effect.gen(function* () {
    const hosted = yield* repository
    const path = yield* bare(hosted)
    const work = yield* files({ log: "" })
    const log = Array.from({ length: 400 }, (_, line) => `line ${line}\n`)
    for (let push = 0; push < pushes; push += 1) {
      log[push] = `changed by push ${push}\n`
      yield* Effect.promise(() => writeFile(join(work, "log"), log.join("")))
      yield* commit(hosted, work, "main")
    }
    const copy = yield* copyOf(path)
    const began = performance.now()
    yield* (yield* copy.repack).ended
    return { path, work, whole: performance.now() - began }
  })
)

/** A host that has the same repository and no other. */
const copyOf = Effect.fnUntraced(function* (path: string) {
  const directory = yield* folder
  const hosted = nextRepository()
  const copy = join(directory, `${hosted.id}.git`)
  yield* copyInto(path, copy)
  const host = yield* GitHost.open(directory, process.env.PATH ?? "")
  /** With the provider that looks for something to repack all the time. */
  const eager = Effect.map(
    Layer.build(Layer.fresh(providerAt(directory, { repack_every: "1 millis" }))),
    (built) => Context.get(built, Git)
  )
  return { hosted, path: copy, host, repack: Effect.sync(() => Repack.launch(host, copy)), eager }
})
type Copy = Effect.Success<ReturnType<typeof copyOf>>

const copyInto = (path: string, copy: string) =>
  Effect.promise(() => cp(path, copy, { recursive: true, force: false }))

const copied = Effect.flatMap(Pushed, ({ path }) => copyOf(path))

/** All of its files and their bytes, also while some go away. */
const measured = (path: string) =>
  Effect.promise(async () => {
    let files = 0
    let bytes = 0
    const folders = [path]
    for (const folder of folders) {
      const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
      for (const entry of entries) {
        const name = join(folder, entry.name)
        if (entry.isDirectory()) folders.push(name)
        const found = entry.isFile() ? await stat(name).catch(() => null) : null
        if (found !== null) files += 1
        bytes += found?.size ?? 0
      }
    }
    return { files, bytes }
  })

const isWhole = (path: string) => run(path, ["fsck", "--full", "--strict", "--no-dangling"])
const commitsOf = (path: string) =>
  Effect.map(run(path, ["rev-list", "--count", "main"]), (count) => Number(count))

const untilFew = (path: string) =>
  measured(path).pipe(
    Effect.repeat({ until: ({ files }) => files < 30, schedule: often }),
    Effect.timeout("1 minute")
  )

/** `act` answers whether it met the repack before its end. */
const inTheMiddle = <E, R>(
  act: (copy: Copy, pause: Effect.Effect<void>) => Effect.Effect<boolean, E, R>
) =>
  Effect.gen(function* () {
    const { whole } = yield* Pushed
    let met = 0
    for (let time = 0; time < times; time += 1) {
      const isMet = yield* act(yield* copied, Effect.sleep((whole * time) / times))
      if (isMet) met += 1
    }
    // The first comes at once; how many others do is up to how busy the machine is.
    assert.isAbove(met, 0)
  }).pipe(Effect.scoped)

const world = pushed.pipe(Layer.provideMerge(provider({ repack_every: "0 seconds" })))
const options = { excludeTestServices: true, timeout: "2 minutes" } as const

layer(world, options)("a repository with 200 pushes", (it) => {
  it.effect("becomes a few files, keeps all there was, and counts as what it is", () =>
    Effect.gen(function* () {
      const { eager, hosted, path } = yield* copied
      const stray = yield* run(path, ["hash-object", "-w", "--stdin"], { input: "of no branch" })
      yield* run(path, ["pack-objects", "-q", "objects/pack/pack"], { input: stray })
      yield* run(path, ["prune-packed"])
      const before = yield* measured(path)
      assert.isAbove(before.files, 3 * pushes)

      const git = yield* eager
      assert.isAtMost(yield* git.bytes(hosted), before.bytes)
      const after = yield* Effect.all([measured(path), git.bytes(hosted)]).pipe(
        Effect.repeat({
          until: ([{ bytes, files }, counted]) => files < 30 && counted === bytes,
          schedule: often
        }),
        Effect.timeout("1 minute"),
        Effect.map(([one]) => one)
      )
      assert.isBelow(after.bytes, before.bytes / 2)
      yield* isWhole(path)
      assert.strictEqual(yield* commitsOf(path), pushes)
      assert.strictEqual(yield* run(path, ["cat-file", "-p", stray]), "of no branch")
    })
  )

  it.effect("is cloned and pushed to while a repack stands anywhere", () =>
    inTheMiddle(({ path, repack }, pause) =>
      Effect.gen(function* () {
        const { work } = yield* Pushed
        const { ended, signal } = yield* repack
        const ending = yield* Effect.forkChild(ended)
        yield* pause
        signal("SIGSTOP")
        const clone = join(yield* folder, "clone")
        yield* run(work, ["clone", "-q", `file://${path}`, clone])
        assert.strictEqual(yield* commitsOf(clone), pushes)
        yield* Effect.promise(() => writeFile(join(clone, "more"), "and more"))
        yield* run(clone, ["add", "--all"])
        yield* run(clone, ["commit", "-qm", "one more"])
        yield* run(clone, ["push", "-q", "origin", "HEAD:main"])
        const isMet = ending.pollUnsafe() === undefined
        signal("SIGCONT")
        assert.strictEqual((yield* Fiber.join(ending)).code, 0)
        assert.strictEqual(yield* commitsOf(path), pushes + 1)
        assert.strictEqual(yield* run(path, ["show", "main:more"]), "and more")
        yield* isWhole(path)
        return isMet
      })
    )
  )

  it.effect("is whole when a repack is killed anywhere, and the next one comes to its end", () =>
    inTheMiddle(({ path, repack }, pause) =>
      Effect.gen(function* () {
        const { ended, signal } = yield* repack
        yield* pause
        signal("SIGKILL")
        const { code } = yield* ended
        yield* isWhole(path)
        assert.strictEqual(yield* commitsOf(path), pushes)
        const next = yield* repack
        assert.strictEqual((yield* next.ended).code, 0)
        assert.isBelow((yield* measured(path)).files, 40)
        yield* isWhole(path)
        return code === null
      })
    )
  )

  it.effect("waits for a push to put its objects in place, and is repacked then", () =>
    Effect.gen(function* () {
      const { path: scattered } = yield* Pushed
      const directory = yield* folder
      const world = yield* Layer.build(
        Layer.fresh(providerAt(directory, { repack_every: "1 millis" }))
      )
      yield* Effect.gen(function* () {
        const git = yield* Git
        const hosted = yield* repository
        const path = yield* bare(hosted)
        const sha = yield* commit(hosted, yield* files({ a: "1" }), "elsewhere")
        const goOn = join(directory, "go-on")
        const hook = `#!/bin/sh\nuntil [ -e "${goOn}" ]; do sleep 0.02; done\necho end >&3\n`
        yield* Effect.promise(() =>
          writeFile(join(directory, ".server", "hooks", "post-receive"), hook)
        )
        const body = Stream.make(emptyPush(sha))
        const contentType = "application/x-git-receive-pack-request"
        const to = { method: "POST", path: "/git-receive-pack", query: "", contentType } as const
        const push = yield* Effect.forkChild(ask(hosted, { ...to, body }))
        yield* git
          .head(hosted, main)
          .pipe(Effect.repeat({ until: (head) => head === sha, schedule: often }))

        yield* copyInto(scattered, path)
        const before = yield* measured(path)
        // The one after the first has been looked for in a round that began later.
        for (const other of [nextRepository(), nextRepository()]) {
          const copy = join(directory, `${other.id}.git`)
          yield* copyInto(scattered, `${copy}.new`)
          yield* Effect.promise(() => rename(`${copy}.new`, copy))
          yield* untilFew(copy)
        }
        assert.deepStrictEqual(yield* measured(path), before)
        yield* Effect.promise(() => writeFile(goOn, ""))
        yield* Fiber.join(push)
        yield* untilFew(path)
        yield* isWhole(path)
      }).pipe(Effect.provideContext(world))
    })
  )

  it.effect("keeps no other from being repacked where it is damaged, and stays as it is", () =>
    Effect.gen(function* () {
      const { host, path: whole } = yield* copied
      const damaged = join(host.directory, `${nextRepository().id}.git`)
      const packs = join(damaged, "objects", "pack")
      yield* run(host.directory, ["init", "-q", "--bare", damaged])
      for (let pack = 0; pack < 12; pack += 1) {
        const input = yield* run(damaged, ["hash-object", "-w", "--stdin"], { input: `${pack}` })
        yield* run(damaged, ["pack-objects", "-q", join(packs, "pack")], { input })
      }
      yield* run(damaged, ["prune-packed"])
      yield* Effect.promise(async () => {
        const names = (await readdir(packs)).filter((name) => name.endsWith(".pack"))
        for (const name of names) await truncate(join(packs, name), 20)
      })
      const before = yield* measured(damaged)
      const repacking = Repack.make(Sizes.make())
      yield* Effect.andThen(repacking.everyOne(host), repacking.everyOne(host))
      assert.isBelow((yield* measured(whole)).files, 30)
      assert.deepStrictEqual(yield* measured(damaged), before)
    })
  )

  it.effect("is removed while it is repacked, and nothing of it comes back", () =>
    inTheMiddle(({ eager, hosted, path }, pause) =>
      Effect.gen(function* () {
        const { whole } = yield* Pushed
        const before = yield* measured(path)
        const git = yield* eager
        yield* pause
        const { files } = yield* measured(path)
        yield* git.removeRepository(hosted)
        yield* Effect.sleep(whole)
        assert.isFalse(existsSync(path))
        return files >= before.files
      })
    )
  )
})
