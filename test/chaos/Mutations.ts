/** How a mutant comes about: a patch that somebody wrote, or a change of one statement that chance picks. */
import { execFile } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { chanceOf } from "@deploy-mcp/domain/chaos/Chance"

export interface Mutant {
  readonly name: string
  readonly bug: string
  readonly change: { readonly patch: string } | StatementChange
}

interface StatementChange {
  readonly file: string
  /** Index of the line of the statement, from 0. */
  readonly line: number
  readonly how: "drop" | "swap" | "repeat"
}

const run = promisify(execFile)

/** Puts the mutant's bug into a copy of the tree. */
export const mutated = async (copy: string, { change }: Mutant): Promise<void> => {
  if ("patch" in change) {
    await run("git", ["apply", change.patch], { cwd: copy })
    return
  }
  const path = join(copy, change.file)
  const lines = readFileSync(path, "utf8").split("\n")
  const [statement = "", next = ""] = lines.slice(change.line)
  const replacement = {
    drop: [next],
    swap: [next, statement],
    repeat: [statement, statement, next]
  }
  lines.splice(change.line, 2, ...replacement[change.how])
  writeFileSync(path, lines.join("\n"))
}

/** Where the order and the number of calls is what the platform is about. */
const runbooks = ["DeployService", "DeploySteps", "Coordinator", "RetireRelease", "RemoveService"]

/** `count` mutants that the seed picks among all statements of the workflows. */
export const generated = (root: string, count: number, seed: string): ReadonlyArray<Mutant> => {
  const all = runbooks.flatMap((name) => {
    const file = `packages/runtime/src/workflows/${name}.ts`
    const lines = readFileSync(join(root, file), "utf8").split("\n")
    return lines.flatMap((text, line) => {
      if (!isStep(text)) return []
      const how = ["drop", "repeat"] as const
      const all = isStep(lines[line + 1] ?? "") ? (["swap", ...how] as const) : how
      return all.map((one): Mutant => {
        const place = `${name}:${line + 1}`
        const bug = `${name} ${words[one]}: ${text.trim()}`
        return { name: `${one} ${place}`, bug, change: { file, line, how: one } }
      })
    })
  })
  const chance = chanceOf(seed)
  return Array.from({ length: count }, () => all.splice(chance.below(all.length), 1)).flat()
}

const words = {
  drop: "leaves a step out",
  swap: "does two steps in the other order",
  repeat: "does a step twice"
}

/** A statement on one line that is there for its effect on rows, providers or nodes. */
const isStep = (line: string): boolean =>
  /^\s+yield\* .*\)$/u.test(line) && !/Metric|Effect\.log|log\.append|failed\(/u.test(line)
