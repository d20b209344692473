/** Watches a container that has just been started until it answers, or until its time is over. */
import { readFile } from "node:fs/promises"
import { explainSilence, type HealthAnswer } from "@deploy-mcp/domain/node/ExplainSilence"
import type { ProcessFailure } from "@deploy-mcp/domain/node/NodeProtocol"
import { type ListeningSocket, parseSocketTable } from "@deploy-mcp/domain/node/SocketTable"
import { steadyMillis } from "@deploy-mcp/domain/SteadyMillis"
import { Effect } from "effect"
import { askHealth } from "./AskHealth.ts"

export interface Asked {
  readonly id: string
  readonly pid: number
  /** Where its port is published. */
  readonly host: string
  readonly hostPort: number
  /** In the container. */
  readonly port: number
  readonly healthPath: string | null
  readonly anyStatus?: boolean
  /** Milliseconds. */
  readonly startTimeout: number
}

/** An answer may take this long, so that one lost question does not use up the whole time. */
const patienceMs = 5000
/** A process that listens in the wrong place for this long has not just opened something else first. */
const settledMs = 3000

/** Null: it is healthy. */
export const awaitAnswer = (asked: Asked): Effect.Effect<ProcessFailure | null> =>
  Effect.gen(function* () {
    const started = yield* steadyMillis
    const deadline = started + asked.startTimeout
    let seen = ""
    let unchangedSince = started
    for (let now = started; ; now = yield* steadyMillis) {
      const patience = Math.max(250, Math.min(patienceMs, deadline - now))
      const endpoint = { host: asked.host, port: asked.hostPort }
      const answer = yield* askHealth(endpoint, asked, patience)
      if (answer?.healthy === true) return null
      now = yield* steadyMillis
      const sockets = yield* listeningSockets(asked)
      const ports = sockets?.map(({ inode, port }) => `${port}:${inode}`).join(" ") ?? ""
      if (ports !== seen) [seen, unchangedSince] = [ports, now]
      const isOpen = sockets?.some(({ loopback, port }) => port === asked.port && !loopback)
      const isElsewhere = isOpen === false && ports !== "" && now - unchangedSince >= settledMs
      if (now >= deadline || isElsewhere) {
        return explain(asked, sockets, answer ?? (isOpen === true ? brokeOff : null))
      }
      yield* Effect.sleep(pauseAfter(now - started))
    }
  })

/** Often while most services start, then less and less often. */
const pauseAfter = (elapsed: number): number => (elapsed < 2000 ? 15 : elapsed < 5000 ? 50 : 150)

const brokeOff: HealthAnswer = { healthy: false, summary: "the answer broke off", evidence: [] }

const explain = (
  asked: Asked,
  sockets: ReadonlyArray<ListeningSocket> | null,
  health: HealthAnswer | null
): ProcessFailure => {
  const failure = explainSilence(asked, sockets ?? [], ({ loopback }) => !loopback, health)
  if (sockets !== null || failure.code !== "no_port") return failure
  return {
    ...failure,
    cause: `Nothing answered on port ${asked.port} in time. Where it listens instead can't be seen: the platform is not root on the engine's own machine.`
  }
}

/**
 * TCP sockets that the container listens on. Null: they can't be seen, as by another user than root
 * or where the engine runs in another pid namespace, in which the number is somebody else's.
 */
const listeningSockets = ({ id, pid }: Asked) =>
  Effect.promise(async (): Promise<ReadonlyArray<ListeningSocket> | null> => {
    const read = (file: string) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => null)
    const [group, tcp, tcp6] = await Promise.all([
      read("cgroup"),
      read("net/tcp"),
      read("net/tcp6")
    ])
    if (group === null || !group.includes(id) || tcp === null) return null
    return [withoutResolver(tcp), tcp6 ?? ""].flatMap(parseSocketTable)
  })

/** The engine's own resolver listens on 127.0.0.11 in each container. */
const withoutResolver = (table: string): string =>
  table
    .split("\n")
    .filter((line) => !line.includes(": 0B00007F:"))
    .join("\n")
