/** Everything that stands around one step: what it sees, what it may call, how much of the machine it takes. */
import { availableParallelism, totalmem } from "node:os"
import type { BuildError } from "@deploy-mcp/domain/Build"
import type { MountedGroups } from "@deploy-mcp/domain/node/ControlGroupFiles"
import { withDataLimit } from "@deploy-mcp/domain/node/DataLimit"
import { Effect } from "effect"
import { rejected, unavailable } from "../BuildFault.ts"
import { makeGroup } from "./BuildGroup.ts"
import { openProxy } from "./network/EgressProxy.ts"
import { makeJudge, type Reach } from "./network/Judge.ts"
import type { Launch, Sandbox, Workplace } from "./Sandbox.ts"
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
  /** Hears of each call that was refused, as a sentence. */
  readonly refused: (sentence: string) => void
}

export interface FencedEnd extends StepEnd {
  /** MiB that the step was allowed, when the kernel ended something in it for more. */
  readonly ranOutOf: number | null
  /** Calls that were refused, as sentences. */
  readonly refused: ReadonlyArray<string>
}

export interface FenceSettings {
  readonly limits: StepLimits
  readonly reach: Reach
}

export interface StepLimits {
  /** MiB; null: half of the machine's. */
  readonly memory: number | null
  /** Processors; null: all. */
  readonly cpu: number | null
}

/**
 * `groups`: null where steps can't be limited; then each process may allocate what a step may have
 * together elsewhere, if there is a `prlimit`.
 */
export const makeFence = (
  sandbox: Sandbox,
  groups: MountedGroups | null,
  prlimit: string | null,
  { limits, reach }: FenceSettings
): Fence => {
  const memory = limits.memory ?? Math.floor(totalmem() / 2 / 1024 ** 2)
  const cpu = limits.cpu ?? availableParallelism()
  const group = groups && ((name: string) => makeGroup(groups, name, { memory, cpu, pids }))
  const judge = makeJudge(reach)
  const launch = (step: Pick<FencedStep, "line" | "place" | "variables">): Launch => {
    const made = sandbox.launch(step.line, step.place, step.variables)
    if (group !== null || prlimit === null) return made
    const [file, ...args] = withDataLimit(prlimit, memory, [made.file, ...made.args])
    return { ...made, file, args }
  }
  return {
    level: sandbox.level,
    description: `${sandbox.description}${sandbox.level === "plain" ? "" : `; ${words[reach.network]}`}; ${
      group === null
        ? `${
            prlimit === null
              ? "memory of a step is not limited"
              : `memory is limited only roughly, to ${memory} MiB for each single process (prlimit)`
          }; its processors and processes are not`
        : `a step has ${memory} MiB of memory, ${cpu} processors and ${pids} processes`
    }`,
    user: sandbox.user,
    run: ({ line, place, variables, name, output, refused }) =>
      Effect.gen(function* () {
        if (sandbox.level === "plain" && reach.network !== "public") return yield* unfenced
        const all = new Set<string>()
        const proxy = yield* Effect.acquireRelease(
          Effect.sync(() =>
            openProxy(judge, (sentence) => {
              if (all.size >= mostRefusals || all.has(sentence)) return
              all.add(sentence)
              refused(sentence)
            })
          ),
          ({ close }) => Effect.sync(close)
        )
        const limited = group === null ? null : yield* group(name)
        let joined = true
        const end = yield* runStep(launch({ line, place, variables }), name, {
          output,
          way: proxy.serve,
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
        return { ...end, ranOutOf: ranOut ? memory : null, refused: [...all] }
      }).pipe(Effect.scoped)
  }
}

const words = {
  public: "a step calls the public internet, by HTTP and through the platform",
  registries: "a step calls package registries alone",
  none: "a step calls nothing"
}

/** What is not promised here is refused, not forgotten. */
const unfenced = rejected(
  "toolchain_missing",
  "Builds may not call the internet here, which takes bubblewrap, and that is not usable on this machine.",
  {
    next: "Ask the operator to install bubblewrap, or to set network of the build provider to public."
  }
)

/** Told of one step. */
const mostRefusals = 20

/** Processes and threads of a step at a time: enough for a compiler on many cores, too few for a fork bomb. */
const pids = 2048
