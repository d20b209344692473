import type { Measurements, ServiceMeasured } from "@deploy-mcp/domain/commands/Measurements"
import { Console, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import * as Calls from "./Calls.ts"
import { Client } from "./Client.ts"
import { finish, paint, table } from "./Output.ts"
import { root } from "./Root.ts"
import { listAll } from "./Services.ts"

export const top = Command.make(
  "top",
  {
    once: Flag.Boolean("once").pipe(
      Flag.withDescription("Measure for one interval, print and end; so it does with --json"),
      Flag.withDefault(false)
    ),
    interval: Flag.Int("interval").pipe(
      Flag.withDescription("Seconds between two looks; default 2"),
      Flag.withDefault(2)
    )
  },
  Effect.fn(function* ({ once, interval }) {
    const { json } = yield* root
    const pause = `${Math.max(1, interval)} seconds` as const
    const look = Effect.flatMap(Client, (client) => client.call(Calls.measureServices, {}))
    let before = yield* look
    for (;;) {
      yield* Effect.sleep(pause)
      const now = yield* look
      const services = rates(before, now, yield* states)
      if (once || json) return yield* finish({ services }, lines(services))
      yield* Console.log(`${fresh}${lines(services).join("\n")}`)
      before = now
    }
  })
).pipe(
  Command.withDescription("Watch how busy services are, until Ctrl-C"),
  Command.withExamples([
    { command: "deploy-mcp top", description: "Requests, errors, memory and cpu of each service" },
    { command: "deploy-mcp top --json", description: "The same once, for programs" }
  ])
)

interface Row {
  readonly name: string
  readonly project: string
  readonly status: string
  readonly requests_per_second: number
  readonly errors_per_second: number
  /** Null: nobody asked. Above the slowest bound it is that bound. */
  readonly p95_ms: number | null
  readonly open: number
  /** Bytes; null: nothing runs. */
  readonly memory: number | null
  /** Cores. */
  readonly cpu: number
  readonly restarts: number
}

const states = Effect.map(
  listAll(undefined),
  (services) => new Map(services.map((one) => [`${one.project}/${one.name}`, one.status]))
)

/** What happened between two looks, the busiest first. A count that fell began anew meanwhile. */
const rates = (
  before: Measurements,
  now: Measurements,
  statuses: ReadonlyMap<string, string>
): ReadonlyArray<Row> => {
  const seconds = Math.max(0.001, (now.at - before.at) / 1000)
  const idOf = ({ name, project }: ServiceMeasured) => `${project}/${name}`
  const earlier = new Map(before.services.map((one) => [idOf(one), one]))
  const rows = now.services.map((one) => {
    const past = earlier.get(idOf(one))
    const risen = (read: (service: ServiceMeasured) => number): number => {
      const from = past === undefined ? 0 : read(past)
      const to = read(one)
      return to < from ? to : to - from
    }
    const slow = one.durations.map((_, place) => risen((service) => service.durations[place] ?? 0))
    const p95 = quantile(0.95, slow, now.bounds)
    return {
      name: one.name,
      project: one.project,
      status: statuses.get(idOf(one)) ?? "unknown",
      requests_per_second: rounded(risen(answered) / seconds),
      errors_per_second: rounded(risen((service) => service.answers["5"] ?? 0) / seconds),
      p95_ms: p95 === null ? null : rounded(p95 * 1000),
      open: one.inFlight + one.upgraded,
      memory: one.memory,
      cpu: rounded(risen((service) => service.cpu) / seconds),
      restarts: one.restarts
    }
  })
  return rows.sort(
    (a, b) => b.requests_per_second - a.requests_per_second || a.name.localeCompare(b.name)
  )
}

const answered = ({ answers }: ServiceMeasured): number =>
  Object.values(answers).reduce((sum, count) => sum + count, 0)

/** As Prometheus does it: evenly spread between the two bounds that it lies between. */
const quantile = (
  share: number,
  counts: ReadonlyArray<number>,
  bounds: ReadonlyArray<number>
): number | null => {
  const rank = share * counts.reduce((sum, count) => sum + count, 0)
  if (rank === 0) return null
  let below = 0
  for (const [place, count] of counts.entries()) {
    if (below + count >= rank) {
      const from = bounds[place - 1] ?? 0
      const to = bounds[place] ?? from
      return from + ((to - from) * (rank - below)) / count
    }
    below += count
  }
  return bounds.at(-1) ?? null
}

const rounded = (value: number): number => Math.round(value * 100) / 100

/** Clears the terminal and begins at its top. */
const fresh = process.stdout.isTTY ? "\u001b[H\u001b[2J" : ""

const lines = (rows: ReadonlyArray<Row>): ReadonlyArray<string> => {
  const [head = "", ...body] = table([
    ["NAME", "STATUS", "REQ/S", "P95", "ERR/S", "OPEN", "MEMORY", "CPU", "RESTARTS", "PROJECT"],
    ...rows.map((row) => [
      row.name,
      row.status,
      row.requests_per_second.toFixed(1),
      row.p95_ms === null ? "-" : `${row.p95_ms.toFixed(1)} ms`,
      row.errors_per_second.toFixed(1),
      String(row.open),
      row.memory === null ? "-" : `${Math.round(row.memory / 1024 / 1024)} MiB`,
      `${Math.round(row.cpu * 100)} %`,
      String(row.restarts),
      row.project
    ])
  ])
  return [paint("dim", head), ...body]
}
