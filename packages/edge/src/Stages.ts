/** All stages of one role, and the exact table from hostname to stage that the roles share. */
import type {
  ReleaseObserved,
  RouteObserved,
  StageSpec
} from "@deploy-mcp/domain/node/NodeProtocol"
import type { Removal } from "./DesiredState.ts"
import { makeStage, type Stage, type StageOptions } from "./Stage.ts"

/** Which stage serves `<label>.<apps domain>`, by label. */
export type Hostnames = Map<string, Stage>

export interface Stages {
  readonly put: (spec: StageSpec) => void
  /** Says that nothing is routed any more, also when the stage is not there. */
  readonly remove: (removal: Removal) => void
  readonly observations: () => ReadonlyArray<ReleaseObserved | RouteObserved>
  /** Stops everything without waiting for those being answered. */
  readonly close: () => Promise<void>
}

export interface StagesOptions extends StageOptions {
  /** Nothing of what the stage was runs any more. It may have been put again meanwhile. */
  readonly onGone: (stage: string) => void
}

export const makeStages = (table: Hostnames, options: StagesOptions): Stages => {
  const stages = new Map<string, Stage>()

  const takeOff = (stage: Stage): void => {
    for (const label of labels(stage.spec)) if (table.get(label) === stage) table.delete(label)
  }

  return {
    put: (spec) => {
      const held = stages.get(spec.stage)
      if (held !== undefined) takeOff(held)
      const stage = held ?? makeStage(spec, options)
      stages.set(spec.stage, stage)
      for (const label of labels(spec)) table.set(label, stage)
      // Last: whoever waits looks again where the hostname leads.
      held?.put(spec)
    },
    remove: ({ generation, stage: id }) => {
      const stage = stages.get(id)
      if (stage === undefined) {
        // Control may have missed that it is gone, and waits to hear it.
        options.emit({ type: "route", stage: id, generation, release: null })
        return
      }
      takeOff(stage)
      stages.delete(id)
      void stage.remove(generation).then(() => options.onGone(id))
    },
    observations: () => [...stages.values()].flatMap((stage) => stage.observations()),
    close: async () => {
      table.clear()
      await Promise.all([...stages.values()].map((stage) => stage.close()))
    }
  }
}

const labels = (spec: StageSpec): ReadonlyArray<string> =>
  spec.hostnames.map((label) => label.toLowerCase())
