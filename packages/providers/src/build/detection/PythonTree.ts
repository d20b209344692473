/** Installs of Python dependencies that are a function of their manifests. */
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect } from "effect"
import { maxLockfile, maxManifest } from "./Manifest.ts"
import { readText } from "./PackageJson.ts"
import { pip, uvSync } from "./PythonProject.ts"
import type { TreeInput } from "./TreeRequest.ts"

/** Null: this install has to run among the project's files, each time. */
export const pythonTree = Effect.fn("Build.pythonTree")(function* (
  root: string,
  install: string
): Effect.fn.Return<TreeInput | null, BuildError> {
  const files =
    install === pip ? yield* pinned(root) : install === uvSync ? yield* locked(root) : null
  // Packages without a wheel run their own programs when they are installed.
  return files === null ? null : { folder: ".venv", files, usesVariables: true }
})

/** Every line names one version; a folder, an address or another file is none. */
const pinned = (root: string) =>
  readText(root, "requirements.txt", maxManifest).pipe(
    Effect.map((text) => {
      const lines = (text ?? "").split(/\r?\n/u).map((line) => line.replace(/(?:^|\s)#.*$/u, ""))
      const exact = lines.every((line) => line.trim() === "" || requirement.test(line.trim()))
      return text !== null && exact ? { "requirements.txt": text } : null
    })
  )

const requirement =
  /^[A-Za-z0-9][\w.-]*(?:\[[\w.,\s-]*\])?\s*==\s*[\w.+!-]+(?:\s*;[^@]*)?(?:\s*\\|\s+--hash=\S+(?:\s*\\)?)*$|^--hash=\S+(?:\s*\\)?$/u

const locked = (root: string) =>
  Effect.gen(function* () {
    const project = yield* readText(root, "pyproject.toml", maxManifest)
    const lock = yield* readText(root, "uv.lock", maxLockfile)
    if (project === null || lock === null) return null
    if (/^\[tool\.uv\.workspace\]/mu.test(project)) return null
    if (/\{\s*(?:editable|directory|path)\s*=|virtual\s*=\s*"(?!\.")/u.test(lock)) return null
    const version = yield* readText(root, ".python-version", maxManifest)
    return {
      "pyproject.toml": project,
      "uv.lock": lock,
      ...(version === null ? {} : { ".python-version": version })
    }
  })
