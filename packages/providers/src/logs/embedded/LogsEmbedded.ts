/** Logs in bounded files of JSON lines, one for each, in this instance's folder. */
import { existsSync, readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { Unavailable } from "@deploy-mcp/domain/Fault"
import { LogName, Logs, LogsError, pageOf } from "@deploy-mcp/domain/Logs"
import type { Kept } from "@deploy-mcp/domain/model/Kept"
import { Host, make } from "@deploy-mcp/domain/Provider"
import { Clock, Config, Effect, Layer, Option, Schema } from "effect"
import * as Followers from "../Followers.ts"
import * as LogFile from "./LogFile.ts"

const config = Config.all({
  /** How large a log may become, in bytes. */
  maxBytes: Config.Int("max_bytes").pipe(Config.withDefault(2 * 1024 * 1024))
})

/** So many ends of files are remembered at most. */
const remembered = 200

const layer = ({ maxBytes }: Config.Success<typeof config>) =>
  Layer.effect(
    Logs,
    Effect.map(Host, ({ directory }) => {
      const files = new Map<LogName, LogFile.LogFile>()
      const followers = Followers.make()

      const fileOf = (log: LogName): LogFile.LogFile => {
        const known = files.get(log)
        if (known !== undefined) return known
        const file = LogFile.open(join(directory, `${log}.ndjson`), maxBytes)
        if (files.size >= remembered) files.clear()
        files.set(log, file)
        return file
      }
      const readAll = (log: LogName) => attempt(() => fileOf(log).readAll())

      return {
        append: (log, entries) =>
          Effect.flatMap(Clock.currentTimeMillis, (at) =>
            attempt(() => {
              const lines = fileOf(log).append(entries, at)
              followers.tell(log, lines)
              return lines
            })
          ),
        read: ({ log, ...reading }) => Effect.map(readAll(log), (lines) => pageOf(lines, reading)),
        follow: (reading) => followers.follow(reading, readAll(reading.log)),
        kept: attempt(() => keptIn(directory)),
        remove: (log) =>
          attempt(() => {
            fileOf(log).remove()
            files.delete(log)
            followers.tell(log, [null])
          })
      }
    })
  )

const keptIn = (directory: string): ReadonlyArray<Kept<LogName>> =>
  (existsSync(directory)
    ? readdirSync(directory, { recursive: true, encoding: "utf8" })
    : []
  ).flatMap((name) => {
    const log = Schema.decodeOption(LogName)(name.replace(/\.ndjson$/u, ""))
    const found = statSync(join(directory, name), { throwIfNoEntry: false })
    return Option.isSome(log) && found?.isFile() ? [{ id: log.value, at: found.mtimeMs }] : []
  })

/** What the system says holds paths, so only its code is passed on. */
const attempt = <A>(use: () => A) =>
  Effect.try({
    try: use,
    catch: (cause) =>
      new LogsError({
        reason: new Unavailable({ detail: `The log's file cannot be used (${codeOf(cause)}).` })
      })
  })

const codeOf = (cause: unknown) =>
  cause instanceof Error && "code" in cause ? String(cause.code) : "unknown"

export const LogsEmbedded = make({
  id: "embedded",
  service: Logs,
  summary: "Bounded files of JSON lines in the platform's home.",
  config,
  make: layer
})
