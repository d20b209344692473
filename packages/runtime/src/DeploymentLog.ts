/** What a deployment's build printed: a file of JSON lines for each deployment, bounded. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import type { DeploymentId } from "@deploy-mcp/domain/model/Ids"
import { LogLine, maxLineLength } from "@deploy-mcp/domain/model/LogLine"
import { Clock, Context, Effect, Layer, Schema } from "effect"
import { DeploymentEvents } from "./DeploymentEvents.ts"
import { Platform } from "./Platform.ts"

const maxBytes = 2 * 1024 * 1024
const decode = Schema.decodeUnknownSync(Schema.fromJsonString(LogLine))

interface Writer {
  seq: number
  bytes: number
}

export class DeploymentLog extends Context.Service<
  DeploymentLog,
  {
    /** Appends one line; past 2 MiB one marker is written and the rest is dropped. */
    readonly append: (
      deployment: DeploymentId,
      stream: LogLine["stream"],
      text: string
    ) => Effect.Effect<void>
    /** Succeeds also when there is nothing to remove. */
    readonly remove: (deployment: DeploymentId) => Effect.Effect<void>
    readonly read: (deployment: DeploymentId) => Effect.Effect<ReadonlyArray<LogLine>>
  }
>()("@deploy-mcp/runtime/DeploymentLog") {
  static readonly layer = Layer.effect(
    DeploymentLog,
    Effect.gen(function* () {
      const { home } = yield* Platform
      const events = yield* DeploymentEvents
      const directory = join(home, "logs", "deployments")
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      const writers = new Map<DeploymentId, Writer>()
      const fileOf = (deployment: DeploymentId) => join(directory, `${deployment}.ndjson`)

      const writerOf = (deployment: DeploymentId): Writer => {
        const known = writers.get(deployment)
        if (known !== undefined) return known
        const file = fileOf(deployment)
        const there = existsSync(file)
        const writer = {
          seq: there ? readLines(file).length : 0,
          bytes: there ? statSync(file).size : 0
        }
        if (writers.size > 200) writers.clear()
        writers.set(deployment, writer)
        return writer
      }

      return {
        append: Effect.fnUntraced(function* (deployment, stream, text) {
          const at = yield* Clock.currentTimeMillis
          const writer = writerOf(deployment)
          if (writer.bytes > maxBytes) return
          writer.seq += 1
          const cut = text.length > maxLineLength ? `${text.slice(0, maxLineLength - 1)}…` : text
          const line: LogLine = { seq: writer.seq, at, stream, text: cut }
          const json = `${JSON.stringify(line)}\n`
          writer.bytes += Buffer.byteLength(json)
          const last = {
            ...line,
            stream: "platform",
            text: "log limit reached; later lines are dropped"
          }
          appendFileSync(
            fileOf(deployment),
            writer.bytes > maxBytes ? `${JSON.stringify(last)}\n` : json,
            { mode: 0o600 }
          )
          yield* events.publish({ kind: "log", deployment, line })
        }),
        remove: (deployment) =>
          Effect.sync(() => {
            writers.delete(deployment)
            rmSync(fileOf(deployment), { force: true })
          }),
        read: (deployment) =>
          Effect.sync(() => {
            const file = fileOf(deployment)
            return existsSync(file) ? readLines(file).map((line) => decode(line)) : []
          })
      }
    })
  )
}

/** A kill in the middle of a write leaves at most one line without its end. */
const readLines = (file: string): ReadonlyArray<string> =>
  readFileSync(file, "utf8")
    .split("\n")
    .slice(0, -1)
    .filter((line) => line.endsWith("}"))
