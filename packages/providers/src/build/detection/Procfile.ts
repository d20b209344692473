/** `Procfile`: a line for each kind of process. A release has one process, which is `web`. */
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect } from "effect"
import { maxManifest } from "./Manifest.ts"
import { readText } from "./PackageJson.ts"

export interface Procfile {
  readonly web: string | undefined
  /** Names of the others. */
  readonly others: ReadonlyArray<string>
}

export const readProcfile = (root: string): Effect.Effect<Procfile | null, BuildError> =>
  readText(root, "Procfile", maxManifest).pipe(
    Effect.map((text) => {
      if (text === null) return null
      const entries = text
        .split(/\r?\n/u)
        .map((line) => /^([A-Za-z0-9_-]+):\s*(\S.*?)\s*$/u.exec(line))
        .flatMap((found) => (found === null ? [] : [[found[1] ?? "", found[2] ?? ""] as const]))
      return {
        web: entries.find(([name]) => name === "web")?.[1],
        others: entries.map(([name]) => name).filter((name) => name !== "web")
      }
    })
  )

/** What the build log says about processes that are declared and do not run. */
export const procfileNotes = ({ web, others }: Procfile): ReadonlyArray<string> => [
  ...(web === undefined
    ? ["Procfile has no 'web' process: it does not decide what is started."]
    : []),
  ...(others.length === 0
    ? []
    : [`Only 'web' of the Procfile is run; not run: ${others.slice(0, 20).join(", ")}.`])
]
