/** What a step may write while it runs. It is looked at from outside, because nothing else stops it. */
import { execFile } from "node:child_process"
import { statfs } from "node:fs/promises"
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect } from "effect"
import { rejected } from "../BuildFault.ts"

export interface StepDisk {
  /** The build's own directory, gone with the build. */
  readonly work: string
  /** Outlives the build; what it has at first is not the step's. */
  readonly cache: string
  /** Bytes that both may grow by. */
  readonly limit: number
}

/** Ends `step` and all its processes when it has written too much, or the disk is nearly full. */
export const withinDisk = <A>(
  disk: StepDisk,
  step: Effect.Effect<A, BuildError>
): Effect.Effect<A, BuildError> => Effect.raceFirst(step, untilTooMuch(disk))

/** Removed files that are still open count on the disk, and nowhere else. */
const untilTooMuch = ({ cache, limit, work }: StepDisk): Effect.Effect<never, BuildError> =>
  Effect.gen(function* () {
    const atFirst = yield* free(work)
    const before = yield* bytesIn(cache)
    let pause = shortest
    for (;;) {
      yield* Effect.sleep(pause)
      const began = performance.now()
      const left = yield* free(work)
      if (left < atFirst / 10) {
        return yield* rejected(
          "disk_full",
          `While a step ran, the disk went from ${mebibytes(atFirst)} to ${mebibytes(left)} MiB free.`
        )
      }
      const cached = (yield* bytesIn(cache)) - before
      const written = (yield* bytesIn(work)) + Math.max(0, cached)
      if (written > limit) {
        return yield* rejected(
          "output_too_large",
          `A step had written ${mebibytes(written)} MiB when it was ended; a build may write ${mebibytes(limit)} MiB.`,
          { next: "Make the build write less, or ask the operator for a higher scratch_limit." }
        )
      }
      pause = Math.max(shortest, 10 * (performance.now() - began))
    }
  })

/** Milliseconds between two looks; longer where a look takes long. */
const shortest = 1_000

const free = (path: string) =>
  Effect.promise(async () => {
    const { bavail, bsize } = await statfs(path)
    return bavail * bsize
  })

/** Of the files below a folder that still is there; one with several names counts once. */
export const bytesIn = (folder: string): Effect.Effect<number> =>
  Effect.callback<number>((resume) => {
    const env = { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C" }
    // It complains of what goes away while it looks, and says what it has found all the same.
    const child = execFile("du", ["-s", "-B1", folder], { env }, (_, stdout) =>
      resume(Effect.succeed(Number.parseInt(stdout, 10) || 0))
    )
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

const mebibytes = (bytes: number) => Math.floor(bytes / 1024 ** 2)
