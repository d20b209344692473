/**
 * What invariants look at: rows, what really is there, and what callers were promised, at one moment. A
 * harness fills it from doubles, from a database and a node, or from an API; what it can't see is empty.
 */
import type { DeploymentCause, DeploymentStatus } from "../model/Deployment.ts"

export interface StageView {
  readonly stage: string
  readonly service: string
  readonly generation: number
  /** The release that visitors should be led to. */
  readonly live: string | null
  readonly trashed: boolean
  /** In the trash although its retention was over a good while ago. */
  readonly overdue: boolean
}

export interface DeploymentView {
  readonly deployment: string
  readonly stage: string
  readonly number: number
  readonly cause: DeploymentCause
  readonly status: DeploymentStatus
  readonly commit: string
  /** The head of the branch that it answers to. */
  readonly answers: string
  readonly settingsRevision: number
  readonly release: string | null
  /** The artifact that it has begun to build or to use. */
  readonly artifact: string | null
  /** Milliseconds since 1970; null: it has not ended, or no node has shown its end. */
  readonly finishedAt: number | null
  /** The code of its failure. */
  readonly code: string | null
}

export interface ReleaseView {
  readonly release: string
  readonly stage: string
  readonly deployment: string
  readonly artifact: string
  readonly state: "candidate" | "live" | "retired" | "discarded" | "collected"
}

export interface VariableView {
  readonly id: string
  readonly stage: string
  readonly name: string
  /** Replaced by a newer value or removed. */
  readonly past: boolean
}

/** A stage as its node has it, whatever rows say. */
export interface NodeStageView {
  readonly stage: string
  readonly generation: number
  /** Where visitors are led. */
  readonly route: string | null
  readonly running: ReadonlyArray<{ readonly release: string; readonly healthy: boolean }>
}

/** What callers did, and were told. */
export interface Promises {
  /** Deployments whose handle a caller holds, with their stages. */
  readonly accepted: ReadonlyMap<string, string>
  /** Subjects that were answered under one idempotency key. */
  readonly keyed: ReadonlyMap<string, ReadonlySet<string>>
  /** Heads that a push was accepted with and that are the head still, by service. */
  readonly heads: ReadonlyMap<string, string>
  /** Services that somebody asked back out of the trash. */
  readonly restored: ReadonlySet<string>
  /** Values that must never be read anywhere. */
  readonly secrets: ReadonlyArray<string>
}

export interface WorldView {
  /** Milliseconds since 1970. */
  readonly at: number
  /** Milliseconds that a deployment is known after its end at least. */
  readonly keptHistory: number
  /** Whether the control plane and its database are there. */
  readonly control: boolean
  readonly stages: ReadonlyArray<StageView>
  readonly deployments: ReadonlyArray<DeploymentView>
  readonly releases: ReadonlyArray<ReleaseView>
  readonly variables: ReadonlyArray<VariableView>
  readonly node: ReadonlyArray<NodeStageView>
  /** Nothing was ever in the way of what the node is told. */
  readonly nodeIsTold: boolean
  /** Keys of the artifacts that are kept. */
  readonly artifacts: ReadonlyArray<string>
  /** The commit whose files an artifact was built from; null: nobody can see it. */
  readonly builtFrom: (artifact: string) => string | null
  /** How often each artifact was built since it was last removed, faults of builds aside. */
  readonly builds: ReadonlyMap<string, number>
  /** The rest of what is there, by what it is of, e.g. folders in which deployments work. */
  readonly leftovers: ReadonlyArray<string>
  /** Positions and texts of each deployment's log. */
  readonly logs: ReadonlyMap<string, ReadonlyArray<{ readonly seq: number; readonly text: string }>>
  /** Everything that is stored or printed, read only when somebody looks. */
  readonly texts: () => Iterable<{ readonly where: string; readonly text: string }>
  readonly promises: Promises
  /** What the same commands led to without faults, as `projectionOf` says it; null: not known. */
  readonly undisturbed: ReadonlyArray<string> | null
}

export const stageIn = (view: WorldView | null, stage: string) =>
  view?.stages.find((one) => one.stage === stage)
export const nodeIn = (view: WorldView | null, stage: string) =>
  view?.node.find((one) => one.stage === stage)
export const newestFirst = (view: WorldView, stage: string) =>
  view.deployments.filter((one) => one.stage === stage).toSorted((a, b) => b.number - a.number)
/** The one that made a release; null has none. */
export const deploymentOf = (
  { deployments }: Pick<WorldView, "deployments">,
  release: string | null
) => (release === null ? undefined : deployments.find((one) => one.release === release))
/** In a trash or in use: what may be gone back to. */
export const isKept = (state: string) =>
  state === "candidate" || state === "live" || state === "retired"

/** What a deployment built that did not succeed is kept until a newer one does. */
export const isPassed = (view: WorldView, { number, stage }: DeploymentView) =>
  newestFirst(view, stage).some((one) => one.number > number && one.status === "committed")

/** What is left for callers once all is quiet; ids, times and numbers may differ. */
export const projectionOf = ({
  deployments,
  stages,
  variables
}: Pick<WorldView, "deployments" | "stages" | "variables">): ReadonlyArray<string> =>
  stages
    .filter(({ trashed }) => !trashed)
    .map(({ live, service, stage }) => {
      const shown = deploymentOf({ deployments }, live)
      const names = variables
        .filter((variable) => variable.stage === stage && !variable.past)
        .map(({ name }) => name)
        .toSorted()
      return `${service}: ${shown?.commit ?? "nothing"} with ${names.join(" ") || "no variables"}`
    })
    .toSorted()

export const duplicatesOf = <A>(
  all: ReadonlyArray<A>,
  name: (one: A) => string
): ReadonlyArray<string> => {
  const seen = new Set<string>()
  return all.map(name).filter((key) => {
    const known = seen.has(key)
    seen.add(key)
    return known
  })
}
