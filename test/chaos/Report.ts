/** What `npm run chaos` found, as docs/chaos.json keeps it and docs/chaos.md shows it. */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
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

export interface ChaosReport {
  readonly lives?: {
    readonly seeds: number
    readonly deployments: number
    readonly crashes: number
    /** Seeds that broke an invariant. */
    readonly broken: number
    readonly deploymentsPerSecondAndCore: number
  }
  readonly crashPoints?: ReadonlyArray<{
    readonly scenario: string
    /** One crash at each, or one at each of two. */
    readonly crashes: 1 | 2
    /** How many there are, and lives that came to their crashes. */
    readonly points: number
    readonly crashed: number
    readonly violations: number
  }>
  readonly mutants?: {
    /** Seeds that each was given. */
    readonly patience: number
    readonly planted: ReadonlyArray<Finding>
    readonly generated: ReadonlyArray<Finding>
  }
}

export const readReport = (): ChaosReport =>
  existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {}

/** Puts what was found now beside what was found before. */
export const addToReport = (found: ChaosReport): void =>
  writeFileSync(file, `${JSON.stringify({ ...readReport(), ...found }, null, 2)}\n`)
