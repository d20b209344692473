/**
 * Packs together what pushes have left in many small files, so that clones stay quick. Nothing is pruned:
 * each object is in a new pack before the file that it was in goes, whether a branch leads to it or not.
 * So a push or clone that is under way finds what it has seen, and one that is killed leaves all there is.
 */
import { spawn } from "node:child_process"
import { readdir } from "node:fs/promises"
import { constants, setPriority } from "node:os"
import { join } from "node:path"
import type { GitError } from "@deploy-mcp/domain/Git"
import { steadyMillis } from "@deploy-mcp/domain/SteadyMillis"
import { Effect, Option } from "effect"
import { always, type GitHost, storage } from "./GitHost.ts"
import type { Sizes } from "./Sizes.ts"

/** More than these are many. */
const fewLoose = 250
const fewPacks = 10

const longest = "1 hour"
/** Milliseconds. */
const day = 86_400_000

export interface Repacking {
  /** Every repository that has become many files, one after the other; those that are written to wait. */
  readonly everyOne: (host: GitHost) => Effect.Effect<void, GitError>
  /**
   * One that is under way in the repository is given up, and none begins before `work` ends: git takes away
   * emptied folders, to which a push may be moving its objects at that very moment.
   */
  readonly without: <A, E, R>(
    repository: string,
    work: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, R>
}

export const make = (sizes: Sizes): Repacking => {
  let current: { readonly repository: string; readonly stop: Effect.Effect<void> } | null = null
  /** How many write to it now. */
  const written = new Map<string, number>()
  /** Damaged, or too large for its time: what did not work is not tried again before that time. */
  const later = new Map<string, number>()

  const count = (repository: string, more: 1 | -1) => {
    const now = (written.get(repository) ?? 0) + more
    if (now === 0) written.delete(repository)
    else written.set(repository, now)
  }

  const one = (host: GitHost, repository: string) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        const launched = written.has(repository) ? null : launch(host, repository)
        current = launched && { repository, stop: launched.stop }
        return launched
      }),
      (launched) =>
        Effect.gen(function* () {
          if (launched === null) return
          const end = yield* Effect.timeoutOption(launched.ended, longest)
          const { code, complaint } = Option.getOrElse(end, () => tooLong)
          if (code === 0 || complaint === stopped) return
          later.set(repository, (yield* steadyMillis) + day)
          const what = { repository, complaint }
          yield* Effect.logWarning("A repository could not be repacked; it is tried tomorrow", what)
        }),
      (launched) =>
        Effect.suspend(() => launched?.stop ?? Effect.void).pipe(
          Effect.andThen(Effect.sync(() => (current = null))),
          Effect.andThen(sizes.forget(repository))
        )
    )

  return {
    everyOne: Effect.fn("Repack.everyOne")(function* (host) {
      for (const name of yield* storage(() => readdir(host.directory))) {
        const repository = join(host.directory, name)
        if (!name.endsWith(".git") || (later.get(repository) ?? 0) > (yield* steadyMillis)) continue
        if (!(yield* isScattered(repository))) continue
        // Known before: meanwhile much of it is there twice.
        yield* sizes.of(repository)
        yield* one(host, repository)
      }
    }),
    without: (repository, work) =>
      Effect.acquireUseRelease(
        Effect.sync(() => count(repository, 1)),
        () =>
          Effect.suspend(() =>
            current?.repository === repository ? current.stop : Effect.void
          ).pipe(Effect.andThen(work)),
        () => Effect.sync(() => count(repository, -1))
      )
  }
}

/** Packs that a push has not let go of yet do not count: git leaves them alone as well. */
const isScattered = (repository: string) =>
  storage(async () => {
    const objects = join(repository, "objects")
    const packs = await namesIn(join(objects, "pack"))
    const free = packs.filter(
      (name) => name.endsWith(".pack") && !packs.includes(name.replace(/pack$/u, "keep"))
    )
    if (free.length > fewPacks) return true
    let loose = 0
    for (const name of await namesIn(objects)) {
      if (/^[0-9a-f]{2}$/u.test(name)) loose += (await namesIn(join(objects, name))).length
      if (loose > fewLoose) return true
    }
    return false
  })

/** A repository may be removed while we look. */
const namesIn = (folder: string) => readdir(folder).catch((): Array<string> => [])

/** Each pack has at least twice the objects of the next smaller one, so that large ones are seldom written anew. */
const command = ["repack", "--geometric=2", "-d", "-l", "-n", "--quiet"]

const modest = [
  ["pack.threads", "1"],
  ["pack.windowMemory", "100m"]
] as const

interface End {
  /** Null: a signal has ended it, or it could not be started. */
  readonly code: number | null
  readonly complaint: string
}

const tooLong: End = { code: null, complaint: `it took longer than ${longest}` }
const stopped = "it was stopped"

/** In a group of its own, which ends as a whole. When control is killed it goes on, and does no harm. */
export const launch = (host: GitHost, repository: string) => {
  const env = host.environment([...always, ...modest], { GIT_DIR: repository })
  const child = spawn("git", command, {
    env,
    detached: true,
    stdio: ["ignore", "ignore", "pipe"]
  })
  let isOver = false
  let isStopping = false
  let complaint = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = `${complaint}${text}`.slice(-500)
  })
  const ending = new Promise<End>((resolve) => {
    // All that it has started hold its standard error: this comes when they are gone as well.
    child.once("close", (code, cause) => {
      isOver = true
      const why = code === null ? `it was ended by ${cause}` : complaint
      resolve({ code, complaint: isStopping ? stopped : why })
    })
    child.once("error", ({ message }) => resolve({ code: null, complaint: message }))
  })
  const { pid } = child
  const signal = (name: NodeJS.Signals) => {
    if (pid !== undefined && !isOver) ignoringGone(() => process.kill(-pid, name))
  }
  if (pid !== undefined) ignoringGone(() => setPriority(pid, constants.priority.PRIORITY_LOW))
  const ended = Effect.promise(() => ending)
  return {
    ended,
    signal,
    stop: Effect.suspend(() => {
      isStopping = true
      signal("SIGTERM")
      return Effect.asVoid(ended)
    })
  }
}

const ignoringGone = (act: () => void) => {
  try {
    act()
  } catch {
    // It went between the check and the act.
  }
}
