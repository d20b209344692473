/**
 * What rows say and the edge has counted, as Prometheus text. Labels are services, so there are few
 * of them.
 */
import type { Measured } from "../Measured.ts"

/** Null: the edge is away, and only that is said. */
export const edgeMetrics = (measured: Measured | null): string => {
  const up = family("edge_up", "gauge", "Whether the edge says what it has counted", [
    [{}, measured === null ? 0 : 1]
  ])
  return measured === null ? up : [up, ...ofNode(measured), ...ofServices(measured)].join("")
}

type ByOwner = ReadonlyArray<{ readonly owner: string; readonly bytes: number }>

/** All in bytes. */
interface DiskUse {
  readonly free: number
  readonly size: number
  /** With less free nothing is built. */
  readonly minFree: number
  readonly database: number
  readonly artifacts: ByOwner
  readonly artifactQuota: number
  readonly repositories: ByOwner
  readonly repositoryQuota: number
}

/** A limit that is not set has no sample, so that nobody computes a share of it. */
export const diskMetrics = (use: DiskUse): string => {
  const gauge = (name: string, help: string, samples: ReadonlyArray<Sample>) =>
    family(name, "gauge", help, samples)
  const limit = (bytes: number): ReadonlyArray<Sample> => (bytes <= 0 ? [] : [[{}, bytes]])
  const byOwner = (all: ByOwner): ReadonlyArray<Sample> =>
    all.map(({ bytes, owner }) => [{ owner }, bytes])
  return [
    gauge("home_free_bytes", "Room on the disk of the home", [[{}, use.free]]),
    gauge("home_size_bytes", "The whole disk of the home", [[{}, use.size]]),
    gauge("home_min_free_bytes", "Room without which nothing is built", limit(use.minFree)),
    gauge("database_bytes", "What rows and workflows take", [[{}, use.database]]),
    gauge(
      "artifact_bytes",
      "Artifacts that an owner has, as far as the quota counts them",
      byOwner(use.artifacts)
    ),
    gauge("artifact_quota_bytes", "What one owner's may have", limit(use.artifactQuota)),
    gauge(
      "repository_bytes",
      "Repositories on the built-in host that an owner has",
      byOwner(use.repositories)
    ),
    gauge("repository_quota_bytes", "What one owner's may have", limit(use.repositoryQuota))
  ].join("")
}

export const deploymentMetrics = (open: ReadonlyMap<string, number>): string =>
  family(
    "deployments_open",
    "gauge",
    "Deployments that wait or run",
    ["queued", "running"].map((status) => [{ status }, open.get(status) ?? 0])
  )

const ofNode = ({ node }: Measured): ReadonlyArray<string> => [
  family("edge_connections", "gauge", "Open connections of visitors", [[{}, node.connections]]),
  family("edge_start_queue_length", "gauge", "Starts of processes that wait for their turn", [
    [{}, node.startQueue]
  ]),
  family("edge_held_requests", "gauge", "Requests that wait for a release that starts", [
    [{}, node.held]
  ]),
  family("edge_unmatched_requests_total", "counter", "Requests that reached no service", [
    [{}, node.unmatched]
  ])
]

const ofServices = ({ node, stages }: Measured): ReadonlyArray<string> => {
  type One = Measured["stages"][number]
  const of = (read: (metrics: One["metrics"]) => number | null): ReadonlyArray<Sample> =>
    stages.flatMap((stage) => {
      const value = read(stage.metrics)
      return value === null ? [] : [[labelsOf(stage), value] as const]
    })
  const labelsOf = ({ name, ownerName, projectName }: One): Labels => ({
    owner: ownerName,
    project: projectName,
    service: name
  })
  return [
    family(
      "http_requests_total",
      "counter",
      "Answers to visitors by class of status; 0xx: the visitor left before there was one",
      stages.flatMap((stage) =>
        Object.entries(stage.metrics.answers).map(
          ([digit, count]) => [{ ...labelsOf(stage), code: `${digit}xx` }, count] as const
        )
      )
    ),
    histogram(
      "http_request_duration_seconds",
      "From the head of a request to the end of its answer",
      stages.map((stage) => ({ ...stage.metrics, labels: labelsOf(stage), bounds: node.bounds }))
    ),
    family(
      "http_requests_in_flight",
      "gauge",
      "Requests without a whole answer",
      of((one) => one.inFlight)
    ),
    family(
      "http_upgraded_connections",
      "gauge",
      "Open WebSockets and other upgraded connections",
      of((one) => one.upgraded)
    ),
    family(
      "process_starts_total",
      "counter",
      "Sandboxed processes that were started",
      of((one) => one.starts)
    ),
    family(
      "process_restarts_total",
      "counter",
      "Processes that were started again after they had been healthy",
      of((one) => one.restarts)
    ),
    family(
      "process_memory_bytes",
      "gauge",
      "Memory of a service's processes",
      of((one) => one.memory)
    ),
    family(
      "process_cpu_seconds_total",
      "counter",
      "Time of all cores that a service's processes took",
      of((one) => one.cpu)
    ),
    family(
      "runs_total",
      "counter",
      "Runs of services on a schedule that have ended, or were left out beside another (skipped)",
      stages.flatMap((stage) =>
        Object.entries(stage.metrics.runs ?? {}).map(
          ([outcome, count]) => [{ ...labelsOf(stage), outcome }, count] as const
        )
      )
    ),
    family(
      "log_lines_dropped_total",
      "counter",
      "Lines that services printed and that were not kept",
      of((one) => one.droppedLines)
    )
  ]
}

type Labels = Readonly<Record<string, string>>
type Sample = readonly [Labels, number]

const family = (
  name: string,
  type: "counter" | "gauge",
  help: string,
  samples: ReadonlyArray<Sample>
): string => head(name, type, help) + samples.map((one) => sample(name, ...one)).join("")

interface Histogram {
  readonly labels: Labels
  readonly bounds: ReadonlyArray<number>
  readonly durations: ReadonlyArray<number>
  readonly durationSum: number
}

const histogram = (name: string, help: string, all: ReadonlyArray<Histogram>): string =>
  head(name, "histogram", help) +
  all
    .map(({ bounds, durations, durationSum, labels }) => {
      let count = 0
      const buckets = durations.map((one, place) => {
        count += one
        const le = place < bounds.length ? String(bounds[place]) : "+Inf"
        return sample(`${name}_bucket`, { ...labels, le }, count)
      })
      return [
        ...buckets,
        sample(`${name}_sum`, labels, durationSum),
        sample(`${name}_count`, labels, count)
      ].join("")
    })
    .join("")

const head = (name: string, type: string, help: string): string =>
  `# HELP deploy_mcp_${name} ${help}\n# TYPE deploy_mcp_${name} ${type}\n`

/** Values of labels are quoted as JSON is: backslash, quote and line break are escaped alike. */
const sample = (name: string, labels: Labels, value: number): string => {
  const text = Object.entries(labels).map(([key, text]) => `${key}=${JSON.stringify(text)}`)
  return `deploy_mcp_${name}${text.length === 0 ? "" : `{${text.join(",")}}`} ${value}\n`
}
