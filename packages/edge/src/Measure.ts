/** Everything that was counted on the node, as control is told it. */

import { StageId } from "@deploy-mcp/domain/model/Ids"
import type { NodeMetrics } from "@deploy-mcp/domain/node/NodeMetrics"
import type { Listener } from "./Listener.ts"
import type { MeteredProcesses } from "./MeteredProcesses.ts"
import { durationBounds, type Meters } from "./Meters.ts"
import type { Hostnames } from "./Stages.ts"
import type { StartQueue } from "./StartQueue.ts"

export type Measure = () => Promise<NodeMetrics>

export interface Measured {
  readonly hostnames: Hostnames
  readonly listener: Listener
  readonly meters: Meters
  readonly processes: MeteredProcesses
  readonly starts: StartQueue
}

export const makeMeasure =
  ({ hostnames, listener, meters, processes, starts }: Measured): Measure =>
  async () => ({
    bounds: durationBounds,
    connections: listener.connections,
    startQueue: starts.waiting,
    // A stage has several hostnames; those that wait are counted once.
    held: [...new Set(hostnames.values())].reduce((sum, stage) => sum + stage.waiting, 0),
    unmatched: meters.unmatched,
    stages: await Promise.all(
      meters.all().map(async ([stage, meter]) => ({
        ...meter,
        stage: StageId.make(stage),
        ...(await processes.usage(stage))
      }))
    )
  })
