/** The command line that starts a Python project: a server for what its entry file makes, or the file. */
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect } from "effect"
import { readText } from "./PackageJson.ts"
import { firstFile, isFile, listing } from "./SourceTree.ts"

interface Start {
  readonly line: string
  /** What it was found by. */
  readonly found: string
}

export const pythonStart = (
  root: string,
  command: string | undefined,
  dependencies: string,
  version: string
): Effect.Effect<Start | null, BuildError> =>
  Effect.gen(function* () {
    const withEnvironment = environmentFor(version)
    if (command !== undefined) return { line: withEnvironment(command), found: "start_command" }
    const django = (yield* isFile(root, "manage.py")) ? yield* djangoModule(root) : null
    if (django !== null) {
      const serve = dependencies.includes("gunicorn")
        ? `python3 -m gunicorn ${django} --bind 0.0.0.0:$PORT`
        : "python3 manage.py runserver --noreload 0.0.0.0:$PORT"
      return { line: withEnvironment(serve), found: "manage.py" }
    }
    const file = yield* firstFile(root, entries)
    if (file === null) return null
    const source = (yield* readText(root, file, 4 * 1024 * 1024)) ?? ""
    const line = serverOf(file.replace(/\.py$/u, ""), source, dependencies) ?? `python3 ${file}`
    return { line: withEnvironment(line), found: file }
  })

const entries = ["main", "app", "start", "bot", "hello", "server", "asgi", "wsgi"].map(
  (name) => `${name}.py`
)

/** `shop.wsgi`, when just one folder has it. */
const djangoModule = (root: string): Effect.Effect<string | null, BuildError> =>
  Effect.gen(function* () {
    const found: Array<string> = []
    for (const entry of yield* listing(root)) {
      const name = entry.replace(/\/$/u, "")
      if (/^[A-Za-z_]\w*$/u.test(name) && (yield* isFile(root, `${name}/wsgi.py`))) {
        found.push(`${name}.wsgi`)
      }
    }
    return found.length === 1 ? (found[0] ?? null) : null
  })

/** An application object at the top of the file, and a server among the dependencies that runs it. */
const serverOf = (module: string, source: string, dependencies: string): string | null => {
  const made =
    /^([A-Za-z_]\w*)(?:\s*:[^=\n]+)?\s*=\s*(?:\w+\.)*(FastAPI|Starlette|Litestar|Quart|Flask)\(/mu.exec(
      source
    )
  if (made === null) return null
  const [, name = "app", framework] = made
  const has = (dependency: string) =>
    new RegExp(`\\b${dependency}\\b`, "iu").test(dependencies.replaceAll(/#.*$/gmu, ""))
  if (framework === "Flask") {
    return has("gunicorn")
      ? `python3 -m gunicorn ${module}:${name} --bind 0.0.0.0:$PORT`
      : `python3 -m flask --app ${module}:${name} run --host 0.0.0.0 --port $PORT`
  }
  if (has("hypercorn") && !has("uvicorn")) {
    return `python3 -m hypercorn ${module}:${name} --bind 0.0.0.0:$PORT`
  }
  // Without a server of its own the program has to start one itself.
  return has("uvicorn") || /fastapi\[/u.test(dependencies)
    ? `python3 -m uvicorn ${module}:${name} --host 0.0.0.0 --port $PORT`
    : null
}

/**
 * Programs of dependencies are found first, and output is seen when it is written. The modules are
 * named too: where the interpreter lies elsewhere than at the build, `.venv` has none.
 */
export const environmentFor = (version: string) => (command: string) => {
  const exec = simple.test(command) && !builtin.test(command) ? "exec " : ""
  const modules = `$PWD/.venv/lib/python${/\d+\.\d+/u.exec(version)?.[0]}/site-packages`
  return (
    `export PATH="$PWD/.venv/bin:$PATH" PYTHONPATH="${modules}\${PYTHONPATH:+:$PYTHONPATH}" ` +
    `PYTHONUNBUFFERED=1; ${exec}${command}`
  )
}

/** One program with its arguments: no shell has to stay for it. */
const simple = /^[\w@%+:,./-]+(?:\s+[\w@%+=:,./"{}$-]+)*$/u
const builtin = /^(?:cd|\.|source|export|set|unset|exec|eval|exit|trap|ulimit|umask|wait|read)\s/u
