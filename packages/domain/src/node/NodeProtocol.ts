/**
 * What control and a node's edge say to each other: JSON, one message a line. Rows are the only
 * desired state; control derives it and the edge refuses whatever is older than what it has.
 *
 * - `epoch`: which control; rises with each start of one.
 * - `revision`: which message; rises by one for each snapshot or delta of an epoch.
 * - `generation`: which state of one stage; rises with each change of its rows. The fence.
 *
 * Version 2 has roles: what a control of one role wants, its epoch and its revision are its own, and a
 * snapshot is everything of that role. A stage has one role at a time: the newer generation takes it,
 * and of two equal ones the later word. In version 1 every control is of the role `deploy`.
 *
 * A node says in its greeting what it can do that older ones can't; control asks it for nothing else.
 */
import { Schema } from "effect"
import { Workers } from "../model/Artifact.ts"
import { ReleaseId, StageId } from "../model/Ids.ts"
import { LogLine } from "../model/LogLine.ts"
import { NodeMetrics } from "./NodeMetrics.ts"

/** The newest version spoken here. Control and edge each serve one that speaks N or N-1. */
export const protocolVersion = 2

/** `deploy` runs releases and leads hostnames to them, `ingress` leads them to what others run. */
export const Role = Schema.Literals(["deploy", "ingress"])
export type Role = typeof Role.Type

/** Files served as they are. */
export const StaticWorkload = Schema.Struct({
  kind: Schema.Literal("static"),
  /** Absolute directory that is served. */
  root: Schema.String,
  /** Pages that are no file are answered with `/index.html`; absent: they are not found. */
  spa: Schema.optionalKey(Schema.Boolean)
})

/** An address where something answers that somebody else runs, e.g. a container. */
export const EndpointWorkload = Schema.Struct({
  kind: Schema.Literal("endpoint"),
  /** An IP address, never a name. */
  host: Schema.String,
  port: Schema.Int
})

/** When a program without a standing process is run. */
export const RunSchedule = Schema.Struct({
  /** Five fields, in UTC; see Cron. */
  cron: Schema.String,
  /** Milliseconds after which a run is stopped. */
  limit: Schema.Int
})
export type RunSchedule = typeof RunSchedule.Type

/** How every program is run, whatever brings it. */
const run = {
  /** Environment as a JSON object of strings, sealed to the node's key (SealedBox). */
  variables: Schema.NullOr(Schema.String),
  /** The port the process is known to listen on; null: PORT is chosen and the real one is found. */
  port: Schema.NullOr(Schema.Int),
  /** Must answer below 400. Null: `/` must answer below 500. */
  healthPath: Schema.NullOr(Schema.String),
  /** True: any answer at `/` is a healthy one. An older node wants one below 500. */
  anyStatus: Schema.optionalKey(Schema.Boolean),
  /**
   * False: it has no port, is healthy when it stays up for some seconds, and no hostname leads to it.
   * Only for a node that `runs` workers.
   */
  listens: Schema.optionalKey(Schema.Boolean),
  /**
   * It has no standing process: the release is healthy once it is in place, and while it is the one
   * that is routed to, the node starts a run when one is due. Only for a node that `runs` schedules.
   */
  schedule: Schema.optionalKey(RunSchedule),
  /**
   * Processes without a port, by name: they run while the release is the one that is routed to, and
   * each is restarted by itself. Their failures never touch the one that answers.
   */
  workers: Schema.optionalKey(Workers),
  /** MiB. */
  memory: Schema.Int,
  /** Cores. */
  cpu: Schema.Finite,
  /** Milliseconds from start to the first healthy answer. */
  startTimeout: Schema.Int,
  /**
   * Milliseconds without a request after which it may be put to sleep; the next request wakes it.
   * Absent or null: it always runs. What has workers is never put to sleep.
   */
  idleAfter: Schema.optionalKey(Schema.NullOr(Schema.Int))
}

/** A process that listens on PORT. */
export const ProcessWorkload = Schema.Struct({
  kind: Schema.Literal("process"),
  /** Absolute directory, seen read-only by the process as `/app`. */
  directory: Schema.String,
  /** A tenant's shell command line; run by `/bin/sh -c` inside the sandbox, never outside. */
  start: Schema.String,
  /** Directories put in front of PATH. */
  path: Schema.Array(Schema.String),
  ...run
})

/** A container that listens on PORT. */
export const ImageWorkload = Schema.Struct({
  kind: Schema.Literal("image"),
  image: Schema.String,
  /** A tenant's shell command line, run inside the container; null: the image's own command. */
  start: Schema.NullOr(Schema.String),
  ...run
})
export const Workload = Schema.Union([
  StaticWorkload,
  ProcessWorkload,
  ImageWorkload,
  EndpointWorkload
])
export type Workload = typeof Workload.Type
export type StaticWorkload = typeof StaticWorkload.Type
export type ProcessWorkload = typeof ProcessWorkload.Type
export type ImageWorkload = typeof ImageWorkload.Type
export type EndpointWorkload = typeof EndpointWorkload.Type

/** What a node has to be able to run for this; null: every one is. */
export const neededOf = (workload: Workload): Runs | null => {
  if (workload.kind === "static" || workload.kind === "endpoint") return null
  if (workload.schedule !== undefined) return "schedule"
  return workload.listens === false ? "worker" : null
}

export const ReleaseSpec = Schema.Struct({ release: ReleaseId, workload: Workload })
export type ReleaseSpec = typeof ReleaseSpec.Type

/** Everything a node should do for one stage. What is not listed is drained and stopped. */
export const StageSpec = Schema.Struct({
  stage: StageId,
  generation: Schema.Int,
  /** Service name, for pages and logs. */
  name: Schema.String,
  /** Number from 0 to 65535 that is the same for all stages of one owner and differs between owners. */
  tenant: Schema.Int,
  /** Labels; each is served as `<label>.<apps domain>`. */
  hostnames: Schema.Array(Schema.String),
  /** The release the hostnames lead to; null: none is live yet. */
  route: Schema.NullOr(ReleaseId),
  releases: Schema.Array(ReleaseSpec)
})
export type StageSpec = typeof StageSpec.Type

// control → edge

/** Opens a connection. The edge moves its listener to `appsPort` if that is another one, then answers `hello`. */
export const ControlHello = Schema.Struct({
  type: Schema.Literal("hello"),
  protocol: Schema.Int,
  epoch: Schema.Int,
  appsPort: Schema.Int,
  /** Absent: `deploy`. A connection keeps its role. */
  role: Schema.optionalKey(Role)
})
/** The whole desired state of the role: its stages that are not listed are removed. */
export const Snapshot = Schema.Struct({
  type: Schema.Literal("snapshot"),
  epoch: Schema.Int,
  revision: Schema.Int,
  stages: Schema.Array(StageSpec)
})
/** Follows the held revision without a gap; an epoch begins with a snapshot. Otherwise refused. */
export const Delta = Schema.Struct({
  type: Schema.Literal("delta"),
  epoch: Schema.Int,
  revision: Schema.Int,
  put: Schema.Array(StageSpec),
  /** Forget these, unless a newer generation is there. A `route` to null answers, also for an absent one. */
  remove: Schema.Array(Schema.Struct({ stage: StageId, generation: Schema.Int }))
})
/** Asks for what a stage's processes printed. Answered by `lines` with the same `id`. */
export const LogsRequest = Schema.Struct({
  type: Schema.Literal("logs"),
  id: Schema.Int,
  stage: StageId,
  /** Only lines after this position; null: the last `tail` lines. */
  after: Schema.NullOr(Schema.Int),
  tail: Schema.Int,
  /** Only lines with this text in them, in any case; `tail` then counts these. */
  contains: Schema.optionalKey(Schema.String),
  /** Only lines from this time on, in milliseconds since 1970. */
  since: Schema.optionalKey(Schema.Int),
  /** Keep sending new lines until `logs_stop`. */
  follow: Schema.Boolean
})
export const LogsStop = Schema.Struct({ type: Schema.Literal("logs_stop"), id: Schema.Int })
/** Asks for what was counted; only of an edge whose greeting says that it `measures`. */
export const MetricsRequest = Schema.Struct({ type: Schema.Literal("metrics"), id: Schema.Int })
export const ToEdge = Schema.Union([
  ControlHello,
  Snapshot,
  Delta,
  LogsRequest,
  LogsStop,
  MetricsRequest
])
export type ToEdge = typeof ToEdge.Type

// edge → control

/** How processes are fenced on this node, for `doctor` and for pages. */
/** One layer between a service and the machine. */
export const SandboxLayer = Schema.Struct({
  layer: Schema.String,
  state: Schema.Literals(["holds", "partly", "missing"]),
  /** What it is here, in a few words. */
  detail: Schema.String,
  /** How the node knows. */
  proof: Schema.String
})
export type SandboxLayer = typeof SandboxLayer.Type

export const Isolation = Schema.Struct({
  level: Schema.Literals(["bubblewrap", "gvisor", "container", "plain"]),
  /** Each process in its own network namespace: a fixed port can overlap with its successor. */
  network: Schema.Boolean,
  /** Which limits bite. */
  limits: Schema.Struct({
    memory: Schema.Boolean,
    cpu: Schema.Boolean,
    pids: Schema.Boolean,
    /** Absent: the node can't tell. */
    io: Schema.optionalKey(Schema.Boolean)
  }),
  /** Plain sentences about what is missing and why. */
  notes: Schema.Array(Schema.String),
  /** From the outside in. Absent: the node can't tell. */
  layers: Schema.optionalKey(Schema.Array(SandboxLayer)),
  /** Why no process is run at all, and what to do. Absent: they are run. */
  refused: Schema.optionalKey(Schema.String)
})
export type Isolation = typeof Isolation.Type

/** Kinds of programs without a port. */
export const Runs = Schema.Literals(["worker", "schedule"])
export type Runs = typeof Runs.Type

export const EdgeHello = Schema.Struct({
  type: Schema.Literal("hello"),
  /** What is spoken on this connection: what control asked for. */
  protocol: Schema.Int,
  pid: Schema.Int,
  /** What the edge holds for this role: control goes on from a higher epoch. */
  epoch: Schema.Int,
  revision: Schema.Int,
  /** X25519 public key (raw, base64url) that variables are sealed to. */
  nodeKey: Schema.String,
  /** Where it listens now, on 127.0.0.1. */
  appsPort: Schema.Int,
  /** Why it does not listen where it was asked to; null: it does. */
  problem: Schema.NullOr(Schema.String),
  isolation: Isolation,
  /** It answers MetricsRequest. Absent: it does not know it. */
  measures: Schema.optionalKey(Schema.Boolean),
  /** What it runs besides programs with a port. Absent: nothing. */
  runs: Schema.optionalKey(Schema.Array(Runs))
})
/** Accepted and kept on disk. */
export const Applied = Schema.Struct({
  type: Schema.Literal("applied"),
  epoch: Schema.Int,
  revision: Schema.Int
})
export const Refused = Schema.Struct({
  type: Schema.Literal("refused"),
  epoch: Schema.Int,
  revision: Schema.Int,
  reason: Schema.String
})

/** Why a process is not healthy, as the edge saw it. Codes are those of the failure catalogue. */
export const ProcessFailure = Schema.Struct({
  code: Schema.Literals([
    "no_sandbox",
    "start_failed",
    "exited",
    "missing_module",
    "out_of_memory",
    "no_port",
    "wrong_port",
    "loopback_only",
    "fixed_port",
    "unhealthy",
    "crash_loop",
    "paused",
    "kind_unsupported"
  ]),
  cause: Schema.String,
  evidence: Schema.Array(Schema.String),
  /** The port that was found, for `wrong_port`, `loopback_only` and `fixed_port`. */
  port: Schema.NullOr(Schema.Int)
})
export type ProcessFailure = typeof ProcessFailure.Type

export const ReleaseState = Schema.Literals(["starting", "healthy", "failed", "stopped"])
export type ReleaseState = typeof ReleaseState.Type

export const Asleep = Schema.Literals(["frozen", "stopped"])
export type Asleep = typeof Asleep.Type

export const RunOutcome = Schema.Literals(["succeeded", "failed", "timed_out", "interrupted"])
export type RunOutcome = typeof RunOutcome.Type

/** One run of a program that is on a schedule. Times are milliseconds since 1970. */
export const RunObserved = Schema.Struct({
  /** Counts the runs of the stage. */
  number: Schema.Int,
  startedAt: Schema.Int,
  /** Null: it is under way. */
  ended: Schema.NullOr(
    Schema.Struct({
      outcome: RunOutcome,
      /** Exit code; null: a signal ended it, or it could not be started. */
      code: Schema.NullOr(Schema.Int),
      /** Null: its node ended meanwhile. */
      ms: Schema.NullOr(Schema.Int)
    })
  )
})
export type RunObserved = typeof RunObserved.Type

/**
 * One release as it is now. `failed` is final for a release that was never healthy; a live one is
 * restarted, unless its failure is `paused`: then a new release alone starts it again.
 */
export const ReleaseObserved = Schema.Struct({
  type: Schema.Literal("release"),
  stage: StageId,
  release: ReleaseId,
  state: ReleaseState,
  /** Times this process was started again after it had been healthy. */
  restarts: Schema.Int,
  /** Port it really listens on. */
  port: Schema.NullOr(Schema.Int),
  /** Where a healthy release is reached, told by a provider that leaves hostnames to an ingress. */
  endpoint: Schema.optionalKey(EndpointWorkload),
  /**
   * It sleeps until the next request: in memory, or without any process. It is `healthy` all the
   * while. Absent: it is awake.
   */
  asleep: Schema.optionalKey(Asleep),
  /** Of a routed release that runs on a schedule: when the next run is due, and the newest one. */
  schedule: Schema.optionalKey(
    Schema.Struct({ next: Schema.NullOr(Schema.Int), last: Schema.NullOr(RunObserved) })
  ),
  failure: Schema.NullOr(ProcessFailure)
})
export type ReleaseObserved = typeof ReleaseObserved.Type

/** What the hostnames of a stage lead to now; `generation` is the newest that was converged to. */
export const RouteObserved = Schema.Struct({
  type: Schema.Literal("route"),
  stage: StageId,
  generation: Schema.Int,
  release: Schema.NullOr(ReleaseId)
})
export type RouteObserved = typeof RouteObserved.Type

export const LogLines = Schema.Struct({
  type: Schema.Literal("lines"),
  id: Schema.Int,
  lines: Schema.Array(Schema.Struct({ ...LogLine.fields, release: Schema.String })),
  /** No more will come. */
  done: Schema.Boolean
})
export const MetricsAnswer = Schema.Struct({
  type: Schema.Literal("metrics"),
  id: Schema.Int,
  ...NodeMetrics.fields
})
export const FromEdge = Schema.Union([
  EdgeHello,
  Applied,
  Refused,
  ReleaseObserved,
  RouteObserved,
  LogLines,
  MetricsAnswer
])
export type FromEdge = typeof FromEdge.Type
export type EdgeHello = typeof EdgeHello.Type
export type LogLines = typeof LogLines.Type
