/**
 * What a step is told: a script that sets variables and writes the package managers' own settings. It
 * is handed over as a secret, because the tenant's variables are among it. BuildKit takes a step for
 * done when its text is the same and does not look into secrets, so the id of one tells of its content.
 */
import { createHmac, randomBytes } from "node:crypto"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { BuildError } from "@deploy-mcp/domain/Build"
import type { Effect } from "effect"
import { attempt, errorCode } from "../BuildFault.ts"
import { npmrc, type PackageSources, toolDefaults, toolPlaces, yarnrc } from "../ToolSettings.ts"
import { places } from "./Dockerfile.ts"

export interface StepSources extends PackageSources {
  readonly npmRegistry: string | null
}

export const stepSettings = (
  sources: StepSources,
  ca: boolean,
  variables: Readonly<Record<string, string>>
): string => {
  const npm = `${places.home}/npmrc`
  const exports = {
    ...toolDefaults(places.cache, sources),
    ...variables,
    HOME: places.home,
    ...toolPlaces({ cache: places.cache, npmrc: npm }, ca ? places.ca : null)
  }
  return [
    "umask 022",
    ...Object.entries(exports).map(([name, value]) => `export ${name}=${quoted(value)}`),
    `printf %s ${quoted(npmrc(sources.npmRegistry))} > ${npm}`,
    `printf %s ${quoted(yarnrc(sources.npmRegistry))} > ${places.home}/.yarnrc.yml`,
    ""
  ].join("\n")
}

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`

/** Names for what nobody may read or guess out of them, the same for as long as the folder is there. */
export type Namer = (...parts: ReadonlyArray<string>) => string

export const makeNamer = (directory: string): Effect.Effect<Namer, BuildError> =>
  attempt("keep a key", async () => {
    const file = join(directory, "names.key")
    await writeFile(file, randomBytes(32), { mode: 0o600, flag: "wx" }).catch((cause: unknown) => {
      if (errorCode(cause) !== "EEXIST") throw cause
    })
    const key = await readFile(file)
    return (...parts) =>
      createHmac("sha256", key).update(JSON.stringify(parts)).digest("hex").slice(0, 32)
  })
