/** A control group for each step: how much memory, processor and processes its processes share. */
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { BuildError } from "@deploy-mcp/domain/Build"
import {
  type Controller,
  type GroupLimits,
  handedDown,
  limitWrites,
  type MountedGroups,
  memoryKills,
  mountedGroups
} from "@deploy-mcp/domain/node/ControlGroupFiles"
import { Effect, Schedule, type Scope } from "effect"
import { attempt, errorCode } from "../BuildFault.ts"
import { read } from "../KernelFiles.ts"
import { killOne } from "../Marks.ts"
import { worksOn } from "../Workplaces.ts"

export interface BuildGroup {
  /** From now on the process and all that it starts count. */
  readonly join: (pid: number) => Promise<void>
  /** Whether the kernel killed something in it for its memory. */
  readonly ranOut: Effect.Effect<boolean>
}

/** Null: this machine has none that we may write to. All three limits, or none is promised. */
export const findGroups: Effect.Effect<MountedGroups | null> = Effect.promise(async () => {
  const mounted = mountedGroups(read("/proc/self/mounts"))
  if (mounted === null) return null
  const roots = new Map<Controller, string>()
  for (const controller of handedDown) {
    const root = mounted.roots.get(mounted.version === 1 ? controller : "freezer")
    if (root !== undefined && (await isUsable(mounted, controller, root))) {
      roots.set(controller, root)
    }
  }
  return roots.size === handedDown.length ? { version: mounted.version, roots } : null
})

const isUsable = async ({ version }: MountedGroups, controller: Controller, root: string) => {
  // Of all of this user's: what one left that was killed, the next one takes away.
  const probe = join(root, `deploy-mcp-probe-build-of-${process.getuid?.()}`)
  try {
    if (version === 2) await writeFile(join(root, "cgroup.subtree_control"), `+${controller}`)
    await mkdir(probe).catch(unless("EEXIST"))
    await rmdir(probe).catch(unless("ENOENT"))
    return true
  } catch {
    return false
  }
}

/** Named after a work directory; gone with the scope, and what is in it too. */
export const makeGroup = (
  groups: MountedGroups,
  work: string,
  limits: GroupLimits
): Effect.Effect<BuildGroup, BuildError, Scope.Scope> =>
  Effect.gen(function* () {
    const of = (controller: Controller) =>
      join(groups.roots.get(controller) ?? "", `${prefix}${work}`)
    const directories = [...new Set([...groups.roots.keys()].map(of))]
    yield* Effect.acquireRelease(
      attempt("make a control group", () =>
        Promise.all(directories.map((path) => mkdir(path, { recursive: true })))
      ),
      () => Effect.forEach(directories, removeGroup, { discard: true })
    )
    yield* attempt("limit a control group", async () => {
      for (const { controller, file, value, optional } of limitWrites(groups.version, limits)) {
        await writeFile(join(of(controller), file), value).catch((cause: unknown) => {
          if (!optional) throw cause
        })
      }
    })
    const kills = memoryKills(groups.version)
    return {
      join: async (pid) => {
        const files = directories.map((path) => join(path, members))
        await Promise.all(files.map((file) => writeFile(file, String(pid))))
      },
      ranOut: Effect.promise(() =>
        readFile(join(of("memory"), kills.file), "utf8").catch(() => "")
      ).pipe(Effect.map((text) => kills.read(text) > 0))
    }
  })

/** Removes the groups of builds whose platform is gone. */
export const sweepGroups = (groups: MountedGroups): Effect.Effect<void> =>
  Effect.forEach(
    new Set(groups.roots.values()),
    (root) =>
      Effect.promise(() => readdir(root).catch(() => [])).pipe(
        Effect.flatMap((names) =>
          Effect.forEach(
            names.filter((name) => name.startsWith(prefix) && !worksOn(name.slice(prefix.length))),
            (name) => removeGroup(join(root, name))
          )
        )
      ),
    { discard: true }
  )

const prefix = "deploy-mcp-build-"
const members = "cgroup.procs"

/** The kernel lets go of it some moments after its last process has gone. */
const removeGroup = (path: string): Effect.Effect<void> =>
  Effect.tryPromise(async () => {
    const pids = read(join(path, members)).split("\n").map(Number)
    for (const pid of pids) if (pid > 0) killOne(pid)
    await rmdir(path).catch(unless("ENOENT"))
  }).pipe(
    Effect.retry(Schedule.spaced("10 millis").pipe(Schedule.upTo({ duration: "5 seconds" }))),
    Effect.ignore
  )

const unless = (code: string) => (cause: unknown) => {
  if (errorCode(cause) !== code) throw cause
}
