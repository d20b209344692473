/**
 * What the containers of a stage printed, merged by time. A line's position is its time in
 * microseconds since 1970, so that it needs no book-keeping and stays the same for each reader.
 */
import type { RuntimeLogQuery } from "@deploy-mcp/domain/Deploy"
import { finder, type LogLine, redactor } from "@deploy-mcp/domain/model/LogLine"
import { Effect, FiberMap, Queue, Stream } from "effect"
import { type Contained, containedIn, platformLabel, secretsOf, stageLabel } from "./Container.ts"
import type { LogRange } from "./DockerApi.ts"
import type { DockerError } from "./DockerSocket.ts"
import type { Engine } from "./Engine.ts"
import { lines, secondsText } from "./LogFrames.ts"

type Line = LogLine & { readonly release: string }

/** Two lines of the same microsecond are told apart by counting on: these are read again for that. */
const overlap = 1000
/** What waits for a slow reader. */
const bufferSize = 500

export const stageLog = (
  engine: Engine,
  query: RuntimeLogQuery
): Stream.Stream<Line, DockerError> =>
  Stream.callback<Line, DockerError>(
    (out) =>
      Effect.gen(function* () {
        const { after, follow, stage, tail } = query
        const events = yield* engine.hear(stage)
        const there = yield* containersOf(engine, query)
        const isSearch = query.since !== undefined || (query.contains ?? "") !== ""
        const range: Omit<LogRange, "follow"> =
          after !== null
            ? { tail: "all", since: secondsText(microseconds(after - overlap)) }
            : { tail: isSearch ? "all" : Math.max(1, tail), ...sinceOf(query) }
        const newest = new Map<string, number>()
        const printed = yield* Effect.forEach(
          there,
          (one) => {
            const found = Stream.tap(linesOf(engine, one, { ...range, follow: false }), ({ seq }) =>
              Effect.sync(() => newest.set(one.id, seq))
            )
            return Stream.runCollect(Stream.filter(found, isWanted(query)))
          },
          { concurrency: 8 }
        )
        const merged = printed.flat().sort((a, b) => a.seq - b.seq)
        let last = after ?? 0
        const send = (line: Line) => {
          last = Math.max(last + 1, line.seq)
          return Queue.offer(out, { ...line, seq: last })
        }
        const shown = after === null ? (tail > 0 ? merged.slice(-tail) : []) : merged
        yield* Effect.forEach(shown, send, { discard: true })
        if (!follow) return yield* Queue.end(out)

        const followers = yield* FiberMap.make<string>()
        const begin = (one: Contained) => {
          const from = newest.get(one.id)
          const since = from === undefined ? {} : { since: secondsText(microseconds(from + 1)) }
          const more = linesOf(engine, one, { tail: "all", follow: true, ...since })
          const forward = Stream.runForEach(more, (line) => {
            newest.set(one.id, line.seq)
            return isWanted(query)(line) ? send(line) : Effect.void
          })
          return FiberMap.run(followers, one.id, Effect.ignore(forward))
        }
        yield* Effect.forEach(there, begin)
        // Another container of the stage, or one that goes on: its log ended with its process.
        for (;;) {
          const { Action, Actor } = yield* Queue.take(events)
          if (Action !== "start") continue
          const [one] = (yield* containersOf(engine, query)).filter(({ id }) => id === Actor.ID)
          if (one !== undefined) yield* begin(one)
        }
      }),
    { bufferSize }
  )

/** A position as a time; one that another provider gave is too small to be any. */
const microseconds = (seq: number): bigint => BigInt(Math.max(0, seq)) * 1000n

const containersOf = ({ api, platform }: Engine, { stage }: RuntimeLogQuery) =>
  Effect.map(api.containers([platformLabel(platform), stageLabel(stage)]), (found) =>
    found.flatMap((one) => containedIn(one) ?? [])
  )

const sinceOf = ({ since }: RuntimeLogQuery) =>
  since === undefined ? {} : { since: secondsText(BigInt(since) * 1_000_000n) }

const isWanted = (query: RuntimeLogQuery) => {
  const isFound = finder(query)
  return (line: Line) => (query.after === null || line.seq > query.after) && isFound(line)
}

const linesOf = (engine: Engine, one: Contained, range: LogRange) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const inspected = yield* engine.api.inspect(one.id)
      if (inspected === null) return Stream.empty
      const redact = redactor(secretsOf(inspected, one.run))
      let last = 0
      const frames = yield* engine.api.logs(one.id, range)
      return Stream.map(lines(frames), ({ at, stream, text }): Line => {
        last = Math.max(last + 1, Number(at / 1000n))
        return {
          seq: last,
          at: Number(at / 1_000_000n),
          stream,
          text: redact(text),
          release: one.release,
          ...(one.worker === null ? {} : { process: one.worker })
        }
      })
    })
  )
