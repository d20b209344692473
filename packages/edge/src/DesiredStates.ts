/**
 * What each role wants, side by side. A stage is in one of them only: the newer generation takes it,
 * and of two equal ones the later word, so that a service follows its operator from one to the other.
 */
import { join } from "node:path"
import type { Role, StageSpec } from "@deploy-mcp/domain/node/NodeProtocol"
import { type Accepted, type Change, type DesiredState, loadDesiredState } from "./DesiredState.ts"
import type { Log } from "./Log.ts"

export interface AcceptedByRole extends Accepted {
  /** Stages of `put` that were the other role's until now. */
  readonly taken: ReadonlyArray<StageSpec>
}

export interface DesiredStates {
  readonly of: Readonly<Record<Role, DesiredState>>
  /** Keeps the change on disk and says what is new in it, or why it is refused. Call one at a time. */
  readonly accept: (
    role: Role,
    change: Change
  ) => Promise<AcceptedByRole | { readonly refused: string }>
}

export const otherRole = (role: Role): Role => (role === "deploy" ? "ingress" : "deploy")

export const loadDesiredStates = async (folder: string, log: Log): Promise<DesiredStates> => {
  const deploy = await loadDesiredState(folder, log)
  const ingress = await loadDesiredState(join(folder, "ingress"), log)
  // A kill while a stage was taken leaves it in both; control tells it again in any case.
  for (const { generation, stage } of [...ingress.stages.values()]) {
    const other = deploy.stages.get(stage)
    if (other === undefined) continue
    await (other.generation < generation ? deploy : ingress).forget([stage])
  }

  const of = { deploy, ingress }
  return {
    of,
    accept: async (role, change) => {
      const other = of[otherRole(role)]
      const result = await of[role].accept(withoutOlder(change, other))
      if ("refused" in result) return result
      const taken = result.put.filter(({ stage }) => other.stages.has(stage))
      await other.forget(taken.map(({ stage }) => stage))
      return { ...result, taken }
    }
  }
}

const withoutOlder = (change: Change, other: DesiredState): Change => {
  const isOurs = (spec: StageSpec) => !holdsNewer(other, spec)
  return change.type === "snapshot"
    ? { ...change, stages: change.stages.filter(isOurs) }
    : { ...change, put: change.put.filter(isOurs) }
}

const holdsNewer = ({ stages }: DesiredState, { generation, stage }: StageSpec): boolean =>
  (stages.get(stage)?.generation ?? -1) > generation
