/**
 * Temporary directories, one for each build. Their names tell which process made them, so that what
 * a crash left is swept at the next start and a running neighbour's is not.
 */
import { readFileSync } from "node:fs"
import { chmod, mkdtemp, readdir } from "node:fs/promises"
import { basename, join } from "node:path"
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect, type Scope } from "effect"
import { attempt } from "./BuildFault.ts"
import { remove } from "./Directories.ts"
import { killMarked } from "./Marks.ts"

export interface Work {
  readonly directory: string
  /** Unique; marks the processes that belong to it. */
  readonly name: string
}

/** Gone when the scope ends, however it ends. */
export const makeWork = (parent: string): Effect.Effect<Work, BuildError, Scope.Scope> =>
  Effect.acquireRelease(
    attempt("make a work directory", async () => {
      const directory = await mkdtemp(join(parent, `${process.pid}.${startedAt("self")}.`))
      await chmod(directory, 0o711)
      return { directory, name: basename(directory) }
    }),
    (work) => remove(work.directory).pipe(Effect.ignore)
  )

/**
 * Removes what builds of processes that are gone have left in `parent`, and kills what they left
 * running. The same names with a dot in front stand for what they were about to store or remove.
 */
export const sweepWork = (parent: string): Effect.Effect<void, BuildError> =>
  attempt("read the work directory", () => readdir(parent)).pipe(
    Effect.flatMap((names) =>
      Effect.forEach(
        names.filter((name) => /^\.?\d+\.\w+\./u.test(name) && !worksOn(name)),
        (name) =>
          Effect.sync(() => killMarked(name)).pipe(Effect.andThen(remove(join(parent, name)))),
        { discard: true }
      )
    )
  )

/** Whether the process that made the directory of this name is still there. */
export const worksOn = (name: string): boolean => {
  const [pid = "", started = ""] = name.replace(/^\./u, "").split(".")
  return startedAt(pid) === started
}

/** Start time of a process in clock ticks since boot: a pid alone may have been given away again. */
const startedAt = (pid: string): string => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "0"
  } catch {
    return pid === "self" ? "0" : "gone"
  }
}
