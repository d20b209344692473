/**
 * `Procfile`: a line for each kind of process, `name: command`. `web` answers requests; the others are
 * workers, which run beside it without a port.
 */
import type { BuildError } from "@deploy-mcp/domain/Build"
import { ProcessName } from "@deploy-mcp/domain/model/Names"
import { Effect, Schema } from "effect"
import { rejected } from "../BuildFault.ts"
import { maxManifest } from "./Manifest.ts"
import { readText } from "./PackageJson.ts"

/** Command lines by name. */
export type Commands = Readonly<Record<string, string>>

export interface Procfile {
  readonly web: string | undefined
  readonly workers: Commands
  /** Sentences for the build log about what is in it and does not run. */
  readonly notes: ReadonlyArray<string>
}

/** Each takes the memory and cpu of a whole service. */
export const maxWorkers = 8

export const readProcfile = Effect.fn("Build.readProcfile")(function* (
  root: string
): Effect.fn.Return<Procfile | null, BuildError> {
  const text = yield* readText(root, "Procfile", maxManifest)
  if (text === null) return null
  const { commands, notes } = entriesOf(text)
  const { release, web, ...workers } = Object.fromEntries(commands)
  const names = Object.keys(workers)
  if (names.length > maxWorkers) {
    const cause = `The Procfile has ${names.length} processes beside web, and at most ${maxWorkers} run.`
    return yield* rejected("manifest_invalid", cause, {
      evidence: names.slice(0, 20),
      next: "Take lines out of the Procfile, or split it over several services with a root_directory each."
    })
  }
  return { web, workers, notes: release === undefined ? notes : [...notes, releaseNote] }
})

/** It would need the release's variables before there is a release, and would run once for each start. */
const releaseNote =
  "Process release is not run: put what it does in front of the start command, e.g. web: npm run migrate && npm start."

const entriesOf = (text: string) => {
  const commands = new Map<string, string>()
  const notes: Array<string> = []
  for (const [index, line] of text.split(/\r?\n/u).entries()) {
    if (/^\s*(#|$)/u.test(line)) continue
    const leave = (why: string): void => {
      if (notes.length < maxNotes)
        notes.push(`Line ${index + 1} of the Procfile is left out: ${why}.`)
    }
    const [, name = "", command = ""] = /^\s*([^\s:]+)\s*:\s*(.*?)\s*$/u.exec(line) ?? []
    if (name === "") leave("it is not of the form 'name: command'")
    else if (!isProcessName(name)) leave(`a name has ${nameRule}`)
    else if (command === "") leave(`'${name}' has no command`)
    else if (commands.has(name)) leave(`'${name}' is there already`)
    else commands.set(name, command)
  }
  return { commands, notes }
}

const isProcessName = Schema.is(ProcessName)
const nameRule = "1 to 40 letters, digits, '_' and '-', and starts with a letter"
/** A file that is no Procfile at all should not fill the log. */
const maxNotes = 5

/** What the build log says about processes. `start` answers requests; absent: something else was found that does. */
export const processNotes = (
  { notes, workers }: Procfile,
  start: string | undefined,
  isSite: boolean
): ReadonlyArray<string> => {
  const names = Object.keys(workers)
  if (isSite && names.length > 0) {
    const list = names.join(", ")
    return [...notes, `This is a site of files, which runs no processes; not run: ${list}.`]
  }
  const web =
    start === undefined
      ? "Procfile has no 'web' process: it does not decide what answers requests."
      : `Process web: ${start}`
  const beside = Object.entries(workers).map(([name, line]) => `Process ${name}: ${line}`)
  return [...notes, ...(start === undefined || beside.length > 0 ? [web] : []), ...beside]
}

/** A part of a plan; `prepare` makes of a command what `/bin/sh -c` runs in the project's folder. */
export const withWorkers = (
  workers: Commands,
  prepare: (command: string) => string = (command) => command
): { readonly workers?: Commands } => {
  const lines = Object.entries(workers).map(([name, command]) => [name, prepare(command)])
  return lines.length === 0 ? {} : { workers: Object.fromEntries(lines) }
}
