/** What the node asks of whoever runs its processes. */
import type { Socket } from "node:net"
import type { EgressPolicy } from "@deploy-mcp/domain/node/EgressPolicy"
import type {
  Isolation,
  ProcessFailure,
  ProcessWorkload,
  ReleaseState,
  RunOutcome
} from "@deploy-mcp/domain/node/NodeProtocol"
import type { SandboxChoice } from "@deploy-mcp/domain/node/SandboxChoice"

/** Where a process is reached from the edge. */
export interface Endpoint {
  readonly host: string
  readonly port: number
  /** Makes a connection to it where it is in a network of its own. Absent: anybody can. */
  readonly dial?: Dial
}

export type Dial = (host: string, port: number) => Promise<Socket>

/** What all that belongs to a process uses. */
export interface Usage {
  /** Bytes. */
  readonly memory: number
  /** Seconds of all cores together since it was started. */
  readonly cpu: number
}

export interface ProcessState {
  readonly state: ReleaseState
  /** Times it was started again after it had been healthy. */
  readonly restarts: number
  /** Set while it is healthy. */
  readonly endpoint: Endpoint | null
  readonly failure: ProcessFailure | null
}

export interface ProcessRequest {
  readonly stage: string
  readonly release: string
  /** Number of the owner: chooses the host user that the process runs as. */
  readonly tenant: number
  readonly workload: ProcessWorkload
  /** Opened variables, in memory only. */
  readonly variables: Readonly<Record<string, string>>
  /** Called with each change, never re-entrantly. The last one is `stopped` or `failed`. */
  readonly onState: (state: ProcessState) => void
  readonly onLine: (stream: "stdout" | "stderr" | "platform", text: string) => void
}

/** A process without a port beside the one that answers; `workload.start` is its own command line. */
export type WorkerRequest = Pick<ProcessRequest, "tenant" | "workload" | "variables" | "onLine">

export interface RunningWorker {
  /** SIGTERM, `graceMs`, SIGKILL; resolves when nothing of it is left. May be called twice. */
  readonly stop: (graceMs: number) => Promise<void>
}

/** A program that is to end by itself. */
export type RunRequest = WorkerRequest & { readonly limitMs: number }

export interface RunEnd {
  readonly outcome: RunOutcome
  /** Null: it did not end by itself, or could not be started. */
  readonly code: number | null
  /** Why it failed, in a sentence; empty: there is nothing more to say. */
  readonly cause: string
}

export interface RunningJob extends RunningWorker {
  /** Resolves when its program runs, or never will. */
  readonly launched: Promise<void>
  /** Resolves when nothing of it is left. */
  readonly ended: Promise<RunEnd>
}

export interface RunningProcess {
  readonly state: ProcessState
  /**
   * Lets all that belongs to it stand still where it is, and says how many bytes of memory it keeps
   * meanwhile. Null: there is nothing that could stand still. A stop is heard all the same.
   */
  readonly freeze: () => Promise<number | null>
  /** Lets it go on. Does nothing when it was not frozen. */
  readonly thaw: () => Promise<void>
  /** Null: it is not healthy. Absent: nobody can tell. */
  readonly usage?: () => Promise<Usage | null>
  /** SIGTERM, `graceMs`, SIGKILL; resolves when nothing of it is left. May be called twice. */
  readonly stop: (graceMs: number) => Promise<void>
}

export interface Processes {
  readonly isolation: Isolation
  /** Starts and keeps running: restarts with back-off once it has been healthy. */
  readonly start: (request: ProcessRequest) => RunningProcess
  /** Starts and keeps running: restarts with back-off whenever it ends, and says so in its log. */
  readonly startWorker: (request: WorkerRequest) => RunningWorker
  /** Starts it once. */
  readonly startRun: (request: RunRequest) => RunningJob
  /** Stops everything at once; for the edge's own end. */
  readonly close: () => Promise<void>
}

export interface ProcessesOptions {
  /** Absolute path of the platform's home; never visible to a process. */
  readonly home: string
  /** Also decides names of namespaces and cgroups: the same home finds its own leftovers. */
  readonly homeId: string
  /** What services may call where they have networks of their own; without it nothing. */
  readonly egress?: EgressPolicy
  /** What services are to run in; without it the best that works. */
  readonly sandbox?: SandboxChoice
}
