/** Who waits for the next lines of which log, within one process. */
import type { LogName, LogReading, LogsError } from "@deploy-mcp/domain/Logs"
import { finder, type LogLine } from "@deploy-mcp/domain/model/LogLine"
import { Effect, PubSub, Stream } from "effect"

/** Null: the log was removed. */
type News = LogLine | null

interface Audience {
  readonly news: PubSub.PubSub<News>
  followers: number
}

export const make = () => {
  const audiences = new Map<LogName, Audience>()

  /** Before anything is read, so that no line falls in between. */
  const join = (log: LogName) =>
    Effect.acquireRelease(
      Effect.gen(function* () {
        const news = yield* PubSub.unbounded<News>()
        const audience = audiences.get(log) ?? { news, followers: 0 }
        audiences.set(log, audience)
        audience.followers += 1
        return audience
      }),
      (audience) =>
        Effect.sync(() => {
          audience.followers -= 1
          if (audience.followers === 0) audiences.delete(log)
        })
    ).pipe(Effect.flatMap(({ news }) => PubSub.subscribe(news)))

  return {
    /** Synchronous, so that whoever writes and tells in one step is heard in the order of writing. */
    tell: (log: LogName, news: ReadonlyArray<News>): void => {
      const audience = audiences.get(log)
      if (audience === undefined) return
      for (const each of news) PubSub.publishUnsafe(audience.news, each)
    },
    /** `readAll` answers with every line that is there. */
    follow: (
      { log, after, tail, ...search }: LogReading,
      readAll: Effect.Effect<ReadonlyArray<LogLine>, LogsError>
    ): Stream.Stream<LogLine, LogsError> =>
      Stream.unwrap(
        Effect.gen(function* () {
          const news = yield* join(log)
          const there = yield* readAll
          const isFound = finder(search)
          const found = there.filter((line) => line.seq > (after ?? 0) && isFound(line))
          const old = after === null ? found.slice(Math.max(0, found.length - tail)) : found
          const newest = Math.max(after ?? 0, there.at(-1)?.seq ?? 0)
          return Stream.concat(
            Stream.fromIterable(old),
            Stream.fromSubscription(news).pipe(
              Stream.takeWhile((line) => line !== null),
              Stream.filter((line) => line.seq > newest && isFound(line))
            )
          )
        })
      )
  }
}
