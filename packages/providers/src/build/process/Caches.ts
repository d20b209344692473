/**
 * What package managers and compilers have fetched, one folder for each owner. They do not bear it when
 * a part is missing, so a cache that is too large or too old is removed as a whole, while nobody uses it.
 */
import { createHash } from "node:crypto"
import { existsSync, renameSync, utimesSync } from "node:fs"
import { readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import type { BuildError } from "@deploy-mcp/domain/Build"
import type { OwnerId } from "@deploy-mcp/domain/model/Ids"
import { Clock, Effect, type Scope } from "effect"
import { attempt } from "../BuildFault.ts"
import { remove } from "../Directories.ts"
import { makeWork } from "../Workplaces.ts"
import { bytesIn } from "./StepDisk.ts"

export interface Caches {
  /** The owner's folder, which may not be there yet; it stays until the scope ends. */
  readonly of: (owner: OwnerId) => Effect.Effect<string, never, Scope.Scope>
  /** Removes those above the limit and those that no build has used for long. */
  readonly sweep: Effect.Effect<void, BuildError>
}

export interface CacheLimits {
  /** Bytes of one owner's cache. */
  readonly bytes: number
  /** Milliseconds since its last use. */
  readonly age: number
}

export const make = (folder: string, work: string, limits: CacheLimits): Caches => {
  const users = new Map<string, number>()
  /** Found small enough, and not used since. */
  const measured = new Map<string, number>()

  const use = (path: string, change: 1 | -1) =>
    Effect.sync(() => {
      const left = (users.get(path) ?? 0) + change
      if (left === 0) users.delete(path)
      else users.set(path, left)
    })

  /** Its time of change tells the sweep, also that of a later process, when it was used. */
  const leave = (path: string) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.sync(() => {
        if (existsSync(path)) utimesSync(path, now / 1000, now / 1000)
      })
    )

  const sweepOne = Effect.fnUntraced(function* (path: string) {
    if (users.has(path)) return
    const { mtimeMs: usedAt } = yield* attempt("read a cache", () => stat(path))
    const isOld = (yield* Clock.currentTimeMillis) - usedAt > limits.age
    if (!isOld && measured.get(path) === usedAt) return
    if (!isOld && (yield* bytesIn(path)) <= limits.bytes) {
      measured.set(path, usedAt)
      return
    }
    const grave = yield* makeWork(work)
    yield* attempt("remove a cache", () => {
      // A build may have begun while its size was found out.
      if (!users.has(path)) renameSync(path, join(grave.directory, "cache"))
    })
    yield* remove(grave.directory)
  }, Effect.scoped)

  return {
    of: (owner) => {
      const name = createHash("sha256").update(owner).digest("hex").slice(0, 32)
      const path = join(folder, name)
      return Effect.acquireRelease(Effect.as(use(path, 1), path), () =>
        Effect.andThen(leave(path), use(path, -1))
      )
    },
    sweep: Effect.gen(function* () {
      for (const name of yield* attempt("read the caches", () => readdir(folder))) {
        yield* Effect.ignore(sweepOne(join(folder, name)))
      }
    })
  }
}
