/**
 * What is in a checkout, and what follows from it. Go and Python come first; a package.json makes a Node project, unless it
 * only builds a site; without one, an index.html makes a site and a server.js a Node project.
 */
import type { BuildError } from "@deploy-mcp/domain/Build"
import { failureOf } from "@deploy-mcp/domain/Fault"
import type { BuildPlan } from "@deploy-mcp/domain/model/Artifact"
import type { ServiceSettings } from "@deploy-mcp/domain/model/Service"
import { Effect } from "effect"
import { rejected } from "../BuildFault.ts"
import { detectGo, goFiles } from "./GoProject.ts"
import { detectNode, hasDependencies, isDevServer, nodeEntry } from "./NodeProject.ts"
import { readPackageJson, readText } from "./PackageJson.ts"
import type { PlanTools } from "./PlanTools.ts"
import { type Commands, readProcfile } from "./Procfile.ts"
import { ofType, type Programs, programsOf, workersAlone } from "./Programs.ts"
import { detectPython, pythonFiles } from "./PythonProject.ts"
import { firstFile, isDirectory, isFile, listing, rootOf } from "./SourceTree.ts"

export const detect = Effect.fn("Build.detect")(function* (
  source: string,
  given: ServiceSettings,
  tools: PlanTools
): Effect.fn.Return<BuildPlan, BuildError> {
  const root = yield* rootOf(source, given.root_directory)
  if (given.build_pack === "dockerfile") return yield* needsDocker("build_pack is 'dockerfile'")
  const procfile = yield* readProcfile(root)
  const programs = yield* programsOf(given, procfile)
  const plan = (chosen: Programs) => planOf(source, root, given, tools, chosen)
  const isAlone = programs.start === undefined && Object.keys(programs.workers).length > 0
  if (!isAlone || !programs.listens || given.build_pack === "static") return yield* plan(programs)
  return yield* plan(programs).pipe(
    Effect.catchIf(hasNoWeb, (error) =>
      given.type === undefined
        ? plan(workersAlone(given, procfile))
        : withoutWeb(error, given.type, programs.workers)
    )
  )
})

const planOf = Effect.fnUntraced(function* (
  source: string,
  root: string,
  given: ServiceSettings,
  tools: PlanTools,
  { listens, notes: notesOf, start, workers }: Programs
) {
  const settings = start === undefined ? given : { ...given, start_command: start }
  const language = yield* languageOf(root, settings)
  const plan = yield* language === "go"
    ? detectGo(root, settings, tools, workers)
    : language === "python"
      ? detectPython(root, settings, tools, workers)
      : detectWeb(source, root, settings, tools, workers)
  const isSite = plan.kind === "static"
  yield* ofType(given, isSite, listens)
  const notes = notesOf(isSite)
  return {
    ...plan,
    ...(listens ? {} : { listens }),
    ...(notes.length === 0 ? {} : { notes })
  }
})

/** Nothing answers requests. */
const hasNoWeb = (error: BuildError): boolean =>
  ["unknown_kind", "no_start_command"].includes(failureOf(error.reason).code)

/** Whoever has only workers is told about them, not about files that start a server. */
const withoutWeb = (error: BuildError, type: string, workers: Commands) => {
  if (type === "webapp_static") return Effect.fail(error)
  const names = Object.keys(workers)
  const cause = `The Procfile has only ${names.join(", ")}: nothing in it or beside it answers requests.`
  return rejected("no_start_command", cause, {
    next: "Add a line 'web: <command>' to the Procfile with a program that listens on PORT, or set start_command; the others then run beside it. For workers alone set type to worker."
  })
}

/** Null: a Node project or a site. */
const languageOf = (
  root: string,
  { build_pack }: ServiceSettings
): Effect.Effect<"go" | "python" | null, BuildError> =>
  Effect.gen(function* () {
    if (build_pack !== "auto")
      return build_pack === "go" || build_pack === "python" ? build_pack : null
    if ((yield* firstFile(root, goFiles)) !== null) return "go"
    return (yield* firstFile(root, pythonFiles)) === null ? null : "python"
  })

const detectWeb = Effect.fn("Build.detectWeb")(function* (
  source: string,
  root: string,
  settings: ServiceSettings,
  tools: PlanTools,
  workers: Commands
): Effect.fn.Return<BuildPlan, BuildError> {
  const manifest = yield* readPackageJson(root)
  const entry = yield* nodeEntry(root, manifest)
  const site = yield* detectSite(root, settings)
  const node = detectNode({ source, root, settings, manifest, entry, tools, workers })
  const asFiles = siteAsItIs(site, settings, tools)

  if (settings.build_pack === "static") {
    if (manifest?.scripts?.build !== undefined || settings.build_command !== undefined) {
      return yield* node("static")
    }
    return asFiles ?? (yield* unknown(root, "build_pack is 'static', but there is no index.html."))
  }
  if (settings.start_command !== undefined) return yield* node("node")
  if (settings.build_pack === "node") {
    if (manifest === null && entry === null) {
      return yield* unknown(
        root,
        "build_pack is 'node', but there is no package.json or server.js."
      )
    }
    return yield* node("node")
  }
  if (manifest !== null) {
    if (isDevServer(manifest)) return yield* node("static")
    if (manifest.scripts?.start !== undefined || entry !== null) return yield* node("node")
    if (manifest.scripts?.build !== undefined) return yield* node("static")
    return asFiles !== null && !hasDependencies(manifest) ? asFiles : yield* node("node")
  }
  if (asFiles !== null && (site?.publish === "." || site?.file === "Staticfile")) return asFiles
  if (entry !== null) return yield* node("node")
  return asFiles ?? (yield* unknown(root, "Found no index.html, package.json or server.js."))
})

interface Site {
  readonly publish: string
  readonly file: string
}

const detectSite = (
  root: string,
  settings: ServiceSettings
): Effect.Effect<Site | null, BuildError> =>
  Effect.gen(function* () {
    const staticfile = yield* readText(root, "Staticfile", 64 * 1024)
    const publish = /^root:\s*["']?([^"'\s#]+)/mu.exec(staticfile ?? "")?.[1]
    if (publish !== undefined) {
      if (settings.build_command || (yield* isDirectory(root, publish)))
        return { publish, file: "Staticfile" }
      const cause = `Staticfile names the folder '${publish}', which is not there.`
      return yield* rejected("manifest_invalid", cause)
    }
    const file = yield* firstFile(root, ["index.html", "public/index.html"])
    if (file !== null) return { publish: file === "index.html" ? "." : "public", file }
    return staticfile === null ? null : { publish: ".", file: "Staticfile" }
  })

const siteAsItIs = (
  site: Site | null,
  settings: ServiceSettings,
  tools: PlanTools
): BuildPlan | null => {
  if (site === null) return null
  const steps = {
    ...(settings.install_command ? { install: settings.install_command } : {}),
    ...(settings.build_command ? { build: settings.build_command } : {})
  }
  const runs = Object.keys(steps).length > 0
  return {
    kind: "static",
    ...steps,
    // A build command may make the folder that is served, so it is looked for afterwards.
    ...(settings.build_command && site.file !== "Staticfile" ? {} : { publish: site.publish }),
    toolchain: runs ? tools.versions : [tools.revision],
    detected: site.file
  }
}

const otherLanguages: ReadonlyArray<readonly [file: string, language: string]> = [
  ["Cargo.toml", "Rust"],
  ["deno.json", "Deno"],
  ["Gemfile", "Ruby"],
  ["composer.json", "PHP"]
]

const unknown = (root: string, cause: string): Effect.Effect<never, BuildError> =>
  Effect.gen(function* () {
    const names = yield* listing(root)
    if (yield* isFile(root, "Dockerfile")) return yield* needsDocker("There is only a Dockerfile")
    for (const [file, language] of otherLanguages) {
      if (!(yield* isFile(root, file))) continue
      return yield* rejected("unknown_kind", `${cause} ${language} is not supported yet.`, {
        evidence: [file],
        next: "Deploy a static site (index.html) or a project in Node (package.json), Python (requirements.txt) or Go (go.mod)."
      })
    }
    const files = names.slice(0, 20)
    return yield* rejected("unknown_kind", names.length === 0 ? "The folder is empty." : cause, {
      evidence: files
    })
  })

/** Dockerfiles are planned by those who can build them, before they ask here. */
const needsDocker = (sign: string): Effect.Effect<never, BuildError> =>
  Effect.fail(
    rejected("toolchain_missing", `${sign}, and builds here run without Docker.`, {
      next: "Ask the operator to build with docker (the build provider 'docker'), or deploy a static site (index.html) or a project in Node (package.json), Python (requirements.txt) or Go (go.mod) with build_pack 'auto'."
    })
  )
