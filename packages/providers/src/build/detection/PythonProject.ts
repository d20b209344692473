/**
 * How a Python project is installed and started. Its dependencies live in `.venv`, which holds no
 * absolute path of its own once its scripts are relocated.
 */
import type { BuildError } from "@deploy-mcp/domain/Build"
import type { BuildPlan } from "@deploy-mcp/domain/model/Artifact"
import type { ServiceSettings } from "@deploy-mcp/domain/model/Service"
import { Effect } from "effect"
import { rejected } from "../BuildFault.ts"
import { maxLockfile, maxManifest } from "./Manifest.ts"
import { readText } from "./PackageJson.ts"
import type { PlanTools } from "./PlanTools.ts"
import { type Commands, withWorkers } from "./Procfile.ts"
import { environmentFor, pythonStart } from "./PythonStart.ts"
import { firstFile, isFile } from "./SourceTree.ts"

/** Any of them makes a Python project. */
export const pythonFiles = [
  ...["main.py", "app.py", "start.py", "bot.py", "hello.py", "server.py"],
  ...["requirements.txt", "pyproject.toml", "Pipfile", "manage.py"]
]

export const detectPython = Effect.fn("Build.detectPython")(function* (
  root: string,
  settings: ServiceSettings,
  tools: PlanTools,
  workers: Commands
): Effect.fn.Return<BuildPlan, BuildError> {
  const python = yield* tools.languages.python
  if (python === null) {
    return yield* rejected("toolchain_missing", "Python 3 is not installed on this machine.", {
      next: "Ask the operator to install python3 with its venv module."
    })
  }
  const needs = yield* dependencies(root)
  const start = yield* pythonStart(root, settings.start_command, needs?.text ?? "", python.version)
  if (start === null) {
    return yield* rejected(
      "no_start_command",
      "There is no main.py or app.py, and no start_command.",
      { next: "Name the file that starts the program main.py, or set start_command." }
    )
  }
  const install = settings.install_command ?? needs?.install
  return {
    kind: "python",
    ...(install === undefined ? {} : { install }),
    ...(settings.build_command === undefined ? {} : { build: settings.build_command }),
    start: start.line,
    ...withWorkers(workers, environmentFor(python.version)),
    toolchain: [tools.revision, python.version, tools.platform, ...(needs?.versions ?? [])],
    detected: needs?.file ?? start.found
  }
})

interface Needs {
  readonly file: string
  readonly install: string
  readonly versions: ReadonlyArray<string>
  /** What names the dependencies. */
  readonly text: string
}

export const pip = "python3 -m venv .venv && .venv/bin/python3 -m pip install -r requirements.txt"

/** It comes as a package, into a home that is gone after the step. */
const uvVersion = "0.13.9"
const uv = (line: string) =>
  `python3 -m venv "$HOME/uv" && "$HOME/uv/bin/pip" install --quiet uv==${uvVersion} && "$HOME/uv/bin/uv" ${line}`
export const uvSync = uv("sync --locked --no-dev --no-install-project --python python3")
/** The project is a package itself and has to be found by its own name. */
const uvSyncProject = uv("sync --locked --no-dev --no-editable --python python3")
const uvResolve = uv(
  'venv --python python3 .venv && "$HOME/uv/bin/uv" pip install -r pyproject.toml'
)

const dependencies = (root: string): Effect.Effect<Needs | null, BuildError> =>
  Effect.gen(function* () {
    const project = yield* readText(root, "pyproject.toml", maxManifest)
    const versions = [`uv ${uvVersion}`]
    if (project !== null && (yield* isFile(root, "uv.lock"))) {
      const isPackage = /^\[build-system\]/mu.test(project)
      const install = isPackage ? uvSyncProject : uvSync
      const lock = (yield* readText(root, "uv.lock", maxLockfile)) ?? ""
      return { file: "pyproject.toml with uv.lock", install, versions, text: project + lock }
    }
    const requirements = yield* readText(root, "requirements.txt", maxManifest)
    if (requirements !== null) {
      return { file: "requirements.txt", install: pip, versions: [], text: requirements }
    }
    const other = yield* firstFile(root, ["poetry.lock", "pdm.lock", "Pipfile"])
    if (other !== null) {
      return yield* rejected("toolchain_missing", `${other} is not supported.`, {
        evidence: [other],
        next: "Export a requirements.txt (pip freeze > requirements.txt) or use uv (uv lock), commit it and push again."
      })
    }
    if (project === null || !/^\s*dependencies\s*=\s*\[\s*[^\]\s]/mu.test(project)) return null
    return { file: "pyproject.toml", install: uvResolve, versions, text: project }
  })
