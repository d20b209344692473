/** What `npm run chaos` found, as docs/chaos.json keeps it and docs/chaos.md shows it. */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join } from "node:path"

export const root = join(import.meta.dirname, "../..")
const file = join(root, "docs/chaos.json")

export interface Finding {
  readonly mutant: string
  /** What is wrong with it. */
  readonly bug: string
  /** The invariants that noticed; none: it survived. */
  readonly invariants: ReadonlyArray<string>
  /** The scenario or the first seed in which they did; null: none of those that were tried. */
  readonly where: string | null
}

/** A run with real processes, whose services visitors asked again and again throughout. */
export interface RealRun {
  /** Those of the machine it ran on. */
  readonly cores: number
  /** What visitors asked, and how much of that was not answered with a 200. */
  readonly requests: number
  readonly failed: number
}

export interface ChaosReport {
  readonly lives?: {
    readonly seeds: number
    readonly deployments: number
    readonly crashes: number
    /** Seeds that broke an invariant. */
    readonly broken: number
    readonly deploymentsPerSecondAndCore: number
  }
  /** Seeds that were lived again and again, and how often one told another story than the first time. */
  readonly repeats?: { readonly seeds: number; readonly times: number; readonly unequal: number }
  readonly crashPoints?: ReadonlyArray<{
    readonly scenario: string
    /** One crash at each, or one at each of two. */
    readonly crashes: 1 | 2
    /** How many there are, and lives that came to their crashes. */
    readonly points: number
    readonly crashed: number
    readonly violations: number
  }>
  /** Lives with one fault at one call or commit, or with somebody who asks for something else there. */
  readonly calls?: ReadonlyArray<{
    readonly scenario: string
    readonly lives: number
    readonly violations: number
  }>
  readonly mutants?: {
    /** Seeds that each was given. */
    readonly patience: number
    readonly planted: ReadonlyArray<Finding>
    readonly generated: ReadonlyArray<Finding>
  }
  /** kill -9 of control at random moments of a storm of pushes and redeploys. */
  readonly kills?: RealRun & {
    readonly kills: number
    /** Accepted under a key each, and done once. */
    readonly redeploys: number
    readonly deployments: number
  }
  /** Two control processes on one Postgres: the acting one is killed or frozen in the middle of a push. */
  readonly takeovers?: RealRun & {
    readonly trials: number
    readonly killed: number
    readonly frozen: number
    /** After how long without a sign of life the other one acts. */
    readonly takeoverSeconds: number
    /** From the kill or the freeze until the other one acted. */
    readonly slowestMs: number
  }
  /** Services without control. */
  readonly away?: RealRun & { readonly seconds: number }
}

export const cores = availableParallelism()

export const readReport = (): ChaosReport =>
  existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {}

/** Puts what was found now beside what was found before. */
export const addToReport = (found: ChaosReport): void =>
  writeFileSync(file, `${JSON.stringify({ ...readReport(), ...found }, null, 2)}\n`)

/** What a run with real processes came to; kept when `npm run chaos -- … --report` asked for that. */
export const tellRun = (found: ChaosReport): void => {
  console.log(JSON.stringify(found))
  if (process.env.TEST_REPORT === "true") addToReport(found)
}
