/** Logs in memory, for tests. */
import { fullLine, isFullLine, type LogName, Logs, lineOf, pageOf } from "@deploy-mcp/domain/Logs"
import type { LogLine } from "@deploy-mcp/domain/model/LogLine"
import { Clock, Context, Effect, Layer } from "effect"
import * as Followers from "../Followers.ts"

/** A log takes so many characters of text. */
export const maxCharacters = 100_000

/** What tests look at; it outlives the provider as a disk does. */
export class LogsWorld extends Context.Service<
  LogsWorld,
  { readonly logs: Map<LogName, Array<LogLine>> }
>()("@deploy-mcp/providers/LogsWorld") {
  static readonly layer = Layer.sync(LogsWorld, () => ({ logs: new Map() }))
}

export const layer: Layer.Layer<Logs, never, LogsWorld> = Layer.effect(
  Logs,
  Effect.map(LogsWorld, ({ logs }) => {
    const followers = Followers.make()
    const readAll = (log: LogName) => Effect.sync(() => [...(logs.get(log) ?? [])])
    return {
      append: (log, entries) =>
        Effect.map(Clock.currentTimeMillis, (at) => {
          const lines = logs.get(log) ?? []
          const before = lines.length
          let taken = lines.reduce((sum, { text }) => sum + text.length, 0)
          for (const entry of entries) {
            if (isFullLine(lines.at(-1))) break
            taken += entry.text.length
            const next = taken > maxCharacters ? fullLine : entry
            lines.push(lineOf(next, lines.length + 1, at))
          }
          logs.set(log, lines)
          followers.tell(log, lines.slice(before))
          return lines.slice(before)
        }),
      read: ({ log, ...reading }) => Effect.map(readAll(log), (lines) => pageOf(lines, reading)),
      follow: (reading) => followers.follow(reading, readAll(reading.log)),
      kept: Effect.sync(() => [...logs].map(([id, lines]) => ({ id, at: lines.at(-1)?.at ?? 0 }))),
      remove: (log) =>
        Effect.sync(() => {
          logs.delete(log)
          followers.tell(log, [null])
        })
    }
  })
)
