/**
 * `npm run chaos -- --mutants [--only WORD]`: whether the invariants notice bugs. Each mutant is a copy of the
 * platform with one bug, planted (mutants/*.patch) or generated; it lives through the scenarios and then through
 * seeds until one of them breaks. `--only`: those with this word in their name.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { run } from "./Children.ts"
import { linkModules } from "./LinkModules.ts"
import { generated, type Mutant, mutated } from "./Mutations.ts"
import { type ChaosReport, type Finding, readReport, root } from "./Report.ts"

const patches = join(import.meta.dirname, "mutants")

/** The first line of a patch says what is wrong. */
export const planted = (): ReadonlyArray<Mutant> =>
  readdirSync(patches)
    .filter((name) => name.endsWith(".patch"))
    .sort()
    .map((name) => {
      const patch = join(patches, name)
      const [bug = ""] = readFileSync(patch, "utf8").split("\n")
      return { name: name.slice(0, -".patch".length), bug, change: { patch } }
    })

export const examine = async (mutant: Mutant, seeds: number): Promise<Finding> => {
  const copy = copyOfTree()
  try {
    await mutated(copy, mutant)
    const found = await firstBroken(copy, seeds)
    return { mutant: mutant.name, bug: mutant.bug, ...found }
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

/** Packages and simulation, with what others wrote linked. */
const copyOfTree = (): string => {
  const copy = mkdtempSync(join(tmpdir(), "deploy-mcp-mutant-"))
  for (const part of ["packages", "test/chaos", "package.json"]) {
    cpSync(join(root, part), join(copy, part), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !path.endsWith("/node_modules") && !path.endsWith("/dist")
    })
  }
  linkModules(copy)
  return copy
}

const firstBroken = async (copy: string, seeds: number) => {
  const script = join(copy, "test/chaos/Chaos.ts")
  const args = ["--preserve-symlinks-main", script, "--first", "--seeds", `${seeds}`]
  const { code, output } = await run(args)
  const broken = [...output.matchAll(/^(.*) breaks ([a-z-]+):/gmu)]
  if (code !== 0 && broken.length === 0) throw new Error(`a mutant does not run:\n${output}`)
  return {
    where: broken[0]?.[1] ?? null,
    invariants: [...new Set(broken.flatMap(([, , invariant]) => invariant ?? []))]
  }
}

/** Seeds that a mutant has to survive to count as not noticed. */
const patience = 300

/** True: each planted one was noticed. */
export const examineAll = async (
  keep: (found: ChaosReport) => void,
  only: string
): Promise<boolean> => {
  const before = readReport().mutants
  /** What was found of the others before stays. */
  const each = async (mutants: ReadonlyArray<Mutant>, earlier: ReadonlyArray<Finding> = []) => {
    const findings: Array<Finding> = []
    for (const mutant of mutants) {
      if (!mutant.name.includes(only)) {
        findings.push(...earlier.filter((one) => one.mutant === mutant.name))
        continue
      }
      const finding = await examine(mutant, patience)
      const how = finding.where === null ? "SURVIVED" : `${finding.invariants} in ${finding.where}`
      console.log(`${mutant.name}: ${how}`)
      findings.push(finding)
    }
    return findings
  }
  const found = {
    patience,
    planted: await each(planted(), before?.planted),
    generated: await each(generated(root, 10, "mutants"), before?.generated)
  }
  keep({ mutants: found })
  return found.planted.every(({ where }) => where !== null)
}
