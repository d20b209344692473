import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as HomeLock from "./HomeLock.ts"

const withHome = <A, E>(test: (home: string) => Effect.Effect<A, E, never>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "lock-"))),
    test,
    (home) => Effect.sync(() => rmSync(home, { recursive: true, force: true }))
  )

const locked = (home: string) => Layer.provideMerge(HomeLock.layerPid(home), HomeLock.layer(home))
const held = (home: string, shared = false) =>
  Effect.scoped(Layer.build(HomeLock.layer(home, { shared })))
const other = `
  import { layer, layerPid } from ${JSON.stringify(join(import.meta.dirname, "HomeLock.ts"))}
  import { Effect, Layer } from "effect"
  setInterval(() => {}, 1000) // what waits for ever does not keep a process alive by itself
  Effect.runPromise(Effect.never.pipe(Effect.onInterrupt(() => Effect.void),
    (forever) => Effect.andThen(Effect.sync(() => console.log("held")), forever), Effect.provide(Layer.provideMerge(layerPid(process.argv[1]), layer(process.argv[1])))))
    .catch((error) => { console.log(error.message); process.exit(3) })
`
const holder = (home: string) => [...["--input-type=module-typescript", "-e", other, home]]

describe("the lock on a home", () => {
  it.live(
    "is refused to another process, which is told who holds it, and is free again after",
    () =>
      withHome((home) =>
        Effect.gen(function* () {
          yield* Effect.gen(function* () {
            const second = spawnSync(process.execPath, holder(home), { encoding: "utf8" })
            assert.strictEqual(second.status, 3, second.stderr)
            assert.include(second.stdout, `held by process ${process.pid}`)
            assert.include(second.stdout, "DEPLOY_MCP_HOME")
          }).pipe(Effect.provide(locked(home)))
          yield* held(home)
        })
      )
  )

  it.live("is freed by a kill -9 of its holder", () =>
    withHome((home) =>
      Effect.gen(function* () {
        const child = spawn(process.execPath, holder(home), {
          stdio: ["ignore", "pipe", "inherit"]
        })
        yield* Effect.promise(() => once(child.stdout, "data"))
        const refused = yield* Effect.flip(held(home))
        assert.strictEqual(refused.pid, child.pid ?? 0)
        child.kill("SIGKILL")
        yield* Effect.promise(() => once(child, "exit"))
        yield* held(home)
      })
    )
  )

  it.live("is shared by those that say so, and refused to one that wants it alone", () =>
    withHome((home) =>
      Effect.gen(function* () {
        yield* Effect.gen(function* () {
          yield* held(home, true)
          assert.strictEqual((yield* Effect.flip(held(home)))._tag, "HomeHeld")
        }).pipe(Effect.provide(HomeLock.layer(home, { shared: true })))
        yield* Effect.gen(function* () {
          assert.strictEqual((yield* Effect.flip(held(home, true)))._tag, "HomeHeld")
        }).pipe(Effect.provide(HomeLock.layer(home)))
      })
    )
  )
})
