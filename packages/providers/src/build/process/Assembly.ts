/** From a checkout to a finished directory: install, build, and only what is needed afterwards. */
import { chown, mkdir, symlink } from "node:fs/promises"
import { join } from "node:path"
import type { BuildError, BuildRequest } from "@deploy-mcp/domain/Build"
import type { Runtime } from "@deploy-mcp/domain/model/Artifact"
import { reservedVariable } from "@deploy-mcp/domain/model/Names"
import { Duration, Effect, Redacted } from "effect"
import { attempt, errorCode, rejected } from "../BuildFault.ts"
import type { BuildLog } from "../BuildLog.ts"
import { copy, link, makeDirectory, move, own, remove } from "../Directories.ts"
import { siteOutput } from "../detection/SiteOutput.ts"
import { rootOf } from "../detection/SourceTree.ts"
import { treeRequest } from "../detection/TreeRequest.ts"
import type { KeyedLock } from "../KeyedLock.ts"
import { seal } from "../Seal.ts"
import { stepFailure } from "../StepFailure.ts"
import type { Work } from "../Workplaces.ts"
import type { BuildProcessSettings, Places } from "./BuildProcess.ts"
import { findTree, makeTree, type Tree } from "./DependencyTrees.ts"
import type { Fence } from "./Fence.ts"
import { isOpen } from "./Languages.ts"
import { relocate } from "./Relocate.ts"
import { withinDisk } from "./StepDisk.ts"
import type { Toolchain } from "./Toolchain.ts"

interface Site {
  readonly request: BuildRequest
  readonly work: Work
  readonly log: BuildLog
  readonly settings: BuildProcessSettings
  readonly toolchain: Toolchain
  readonly places: Places
  /** The package cache that an owner's builds share. */
  readonly cache: string
  readonly fence: Effect.Effect<Fence, BuildError>
  readonly locks: KeyedLock
}

interface Finished {
  readonly directory: string
  readonly runtime: Runtime
  readonly bytes: number
}

export const assemble = Effect.fn("BuildProcess.assemble")(function* (
  site: Site
): Effect.fn.Return<Finished, BuildError> {
  const { request, work, log } = site
  const { plan, settings } = request
  log.say(`Detected ${plan.detected}`)
  for (const note of plan.notes ?? []) log.say(note)
  const root = yield* rootOf(request.source, settings.root_directory)
  const app = join(work.directory, "app")
  yield* move(root, app)
  // A step may find its directory closed otherwise: it is not the user who made the checkout.
  yield* makeDirectory(app)
  const shared = plan.install === undefined ? null : yield* install(site, app, plan.install)
  if (plan.build !== undefined) {
    const { user } = yield* site.fence
    yield* own(app, user)
    yield* step(site, app, "build", plan.build)
  }
  const limit = site.settings.outputLimit
  if (plan.kind === "static") {
    const { publish, spa } = yield* siteOutput(app, plan.publish)
    const directory = join(app, publish)
    const bytes = yield* seal(directory, { limit, jail: true })
    return { directory, bytes, runtime: { kind: "static", publish: ".", ...(spa ? { spa } : {}) } }
  }
  const skip = shared === null ? {} : { skip: shared.folder }
  const size = yield* seal(app, { limit: limit - (shared?.bytes ?? 0), ...skip })
  const language = yield* languageOf(site)
  // A Go binary is whole by itself; an own start command may want Node.js beside another language.
  const path = [...(language === null ? [] : [language.bin]), site.toolchain.node.bin]
  return {
    directory: app,
    bytes: size + (shared?.bytes ?? 0),
    runtime: {
      kind: "process",
      start: plan.start ?? "",
      path,
      ...(plan.listens === undefined ? {} : { listens: plan.listens }),
      ...(plan.workers === undefined ? {} : { workers: plan.workers })
    }
  }
})

/** Answers with the tree whose files are now shared with `app`, or null when `app` has its own. */
const install = (site: Site, app: string, line: string): Effect.Effect<Tree | null, BuildError> =>
  Effect.gen(function* () {
    const { request, log, places } = site
    const identity = [request.owner, ...request.plan.toolchain]
    const wanted = yield* treeRequest(app, line, identity, visible(request))
    const fence = yield* site.fence
    if (wanted === null) {
      yield* own(app, fence.user)
      yield* step(site, app, "install", line)
      yield* relocate(app)
      return null
    }
    const tree = yield* site.locks.holding(wanted.key)(
      Effect.gen(function* () {
        const kept = yield* findTree(places.trees, wanted)
        if (kept !== null) {
          log.say("Dependencies are unchanged: using the installed ones")
          return kept
        }
        const variables = wanted.usesVariables ? visible(request) : {}
        return yield* makeTree(places.trees, wanted, site.work, site.settings.outputLimit, (at) =>
          own(at, fence.user).pipe(
            Effect.andThen(step(site, at, "install", line, variables)),
            Effect.andThen(relocate(at))
          )
        )
      })
    )
    if (tree === null) return yield* rejected("install_failed", "The dependencies were not kept.")
    const folder = join(app, tree.folder)
    yield* remove(folder)
    // What writes to a shared file writes to every release that has it.
    const share = request.plan.build === undefined && fence.level === "bubblewrap"
    yield* share ? link(tree.files, folder) : copy(tree.files, folder)
    return share ? tree : null
  })

/** Our own names stay ours, and none may act on the programs that make the sandbox. */
const visible = ({ variables }: BuildRequest): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(variables)
      .filter(([name]) => !reservedVariable(name))
      .map(([name, value]) => [name, Redacted.value(value)])
  )

const step = (
  site: Site,
  app: string,
  kind: "install" | "build",
  line: string,
  variables = visible(site.request)
): Effect.Effect<void, BuildError> =>
  Effect.gen(function* () {
    const { work, log, settings } = site
    const fence = yield* site.fence
    const language = yield* languageOf(site)
    const place = { app, language, ...(yield* makeHome(site, fence.user)) }
    log.say(`$ ${line}`)
    const one = { line, place, variables, name: work.name, output: log.write, refused: log.say }
    const disk = { work: work.directory, cache: site.cache, limit: settings.scratchLimit }
    const end = yield* withinDisk(disk, fence.run(one)).pipe(
      Effect.timeoutOrElse({
        duration: settings.stepTimeout,
        orElse: () => {
          const limit = Duration.format(settings.stepTimeout)
          return Effect.fail(
            rejected("build_timed_out", `'${shown(line)}' did not end within ${limit}.`, {
              evidence: log.evidence()
            })
          )
        }
      })
    )
    if (end.code === 0) return
    if (end.ranOutOf !== null) {
      const cause = `'${shown(line)}' took more than the ${end.ranOutOf} MiB of memory that it may.`
      const next = "Make it use less memory, or ask the operator for a higher memory_limit."
      return yield* rejected(`${kind}_failed`, cause, { evidence: log.evidence(), next })
    }
    const ended = end.code === null ? `was ended by ${end.signal}` : `ended with ${end.code}`
    return yield* stepFailure(kind, shown(line), ended, log, end.refused)
  })

/** Null for what needs Node.js alone. */
const languageOf = ({ request, toolchain, fence }: Site) =>
  Effect.gen(function* () {
    const { kind } = request.plan
    if (kind !== "python" && kind !== "go") return null
    const language = yield* toolchain.languages[kind]
    const { level } = yield* fence
    // Root's own files are shown to other users by a sandbox only, and services are other users.
    const own = process.getuid?.() === 0 && level === "plain"
    if (language === null || !own || (yield* isOpen(language))) return language
    return yield* rejected(
      "toolchain_missing",
      `${language.version} is installed in a folder that services may not enter.`,
      { next: "Ask the operator to install bubblewrap, or the language for all users." }
    )
  })

/** A command line as a sentence can carry it. */
const shown = (line: string) => (line.length > 120 ? `${line.slice(0, 119)}…` : line)

/** A home directory for this build alone, and the package cache. */
const makeHome = ({ cache, work, places }: Site, user: number | null) =>
  attempt("make a home directory", async () => {
    const paths = { home: join(work.directory, "home"), cache }
    for (const path of [paths.home, paths.cache]) {
      await mkdir(path, { recursive: true, mode: 0o700 })
      if (user !== null) await chown(path, user, user)
    }
    // Bubblewrap shows them in a home of its own.
    for (const file of ["npmrc", "yarnrc.yml"]) {
      await symlink(join(places.etc, file), join(paths.home, `.${file}`)).catch(present)
    }
    return paths
  })

const present = (cause: unknown): void => {
  if (errorCode(cause) !== "EEXIST") throw cause
}
