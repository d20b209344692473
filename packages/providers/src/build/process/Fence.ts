/** Everything that stands around one step: what it sees, what it may call, how much of the machine it takes. */
import { availableParallelism, totalmem } from "node:os"
import type { BuildError } from "@deploy-mcp/domain/Build"
import type { MountedGroups } from "@deploy-mcp/domain/node/ControlGroupFiles"
import { Effect } from "effect"
import { unavailable } from "../BuildFault.ts"
import { makeGroup } from "./BuildGroup.ts"
import type { Sandbox, Workplace } from "./Sandbox.ts"
import { runStep, type StepEnd, type StepWatch } from "./Step.ts"

export interface Fence {
  readonly level: Sandbox["level"]
  /** One sentence for people. */
  readonly description: string
  /** Who must own what a step writes to; null: the platform's own user. */
  readonly user: number | null
  /** When it returns, fails or is interrupted, no process of the step is left. */
  readonly run: (step: FencedStep) => Effect.Effect<FencedEnd, BuildError>
}

export interface FencedStep {
  readonly line: string
  readonly place: Workplace
  readonly variables: Readonly<Record<string, string>>
  /** Name of the work directory; marks what belongs to the step. */
  readonly name: string
  readonly output: StepWatch["output"]
}

export interface FencedEnd extends StepEnd {
  /** MiB that the step was allowed, when the kernel ended something in it for more. */
  readonly ranOutOf: number | null
}

export interface StepLimits {
  /** MiB; null: half of the machine's. */
  readonly memory: number | null
  /** Processors; null: all. */
  readonly cpu: number | null
}

/** `groups`: null where steps can't be limited. */
export const makeFence = (
  sandbox: Sandbox,
  groups: MountedGroups | null,
  limits: StepLimits
): Fence => {
  const memory = limits.memory ?? Math.floor(totalmem() / 2 / 1024 ** 2)
  const cpu = limits.cpu ?? availableParallelism()
  const group = groups && ((name: string) => makeGroup(groups, name, { memory, cpu, pids }))
  return {
    level: sandbox.level,
    description: `${sandbox.description}; ${
      group === null
        ? "memory, processor and processes of a step are not limited"
        : `a step has ${memory} MiB of memory, ${cpu} processors and ${pids} processes`
    }`,
    user: sandbox.user,
    run: ({ line, place, variables, name, output }) =>
      Effect.gen(function* () {
        const limited = group === null ? null : yield* group(name)
        let joined = true
        const end = yield* runStep(sandbox.launch(line, place, variables), name, {
          output,
          ...(limited && {
            started: (pid) =>
              limited.join(pid).catch((cause: unknown) => {
                joined = false
                throw cause
              })
          })
        })
        if (!joined) return yield* unavailable("Could not limit the memory of a step.")
        const ranOut = limited !== null && (yield* limited.ranOut)
        return { ...end, ranOutOf: ranOut ? memory : null }
      }).pipe(Effect.scoped)
  }
}

/** Processes and threads of a step at a time: enough for a compiler on many cores, too few for a fork bomb. */
const pids = 2048
