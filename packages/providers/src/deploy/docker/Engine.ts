/** What the parts of this provider share during one connection to an engine. */
import type { ReleaseObserved } from "@deploy-mcp/domain/node/NodeProtocol"
import type { Duration, Effect, Queue, Scope, Semaphore } from "effect"
import type { DockerApi, Event } from "./DockerApi.ts"
import type { NodeKey } from "./NodeState.ts"
import type { Paused } from "./Paused.ts"

export interface Settings {
  /** In front of the names of containers and networks. */
  readonly prefix: string
  /** Where ports are published. */
  readonly address: string
  /** How long a release that is not wanted any more goes on answering. */
  readonly drain: Duration.Duration
  /** Between SIGTERM and SIGKILL. */
  readonly grace: Duration.Duration
  /** MiB. */
  readonly logSize: number
  readonly writable: boolean
  /** How many containers that have ended are kept for each stage, for what they printed. */
  readonly keep: number
  /** So many ends of a live process within ten minutes pause it; 0: none do. */
  readonly restartLimit: number
}

export interface Engine {
  readonly api: DockerApi
  readonly settings: Settings
  readonly key: NodeKey
  readonly paused: Paused
  /** Of the labels: the platform with this key, and no other. */
  readonly platform: string
  /** A network is not removed while a container is being made for it. */
  readonly making: Semaphore.Semaphore
  /** Events of the container, or of the containers of the stage, with this id: from now on. */
  readonly hear: (id: string) => Effect.Effect<Queue.Dequeue<Event>, never, Scope.Scope>
  /** When it last said of a container that its memory was used up, in nanoseconds; it may do so after its end. */
  readonly lastOom: (container: string) => bigint
  readonly tell: (observed: ReleaseObserved) => void
}
