/** What a deployment's build printed: a log of its own, told to whoever waits for the deployment. */
import { LogName, type LogPage, type LogReading, Logs } from "@deploy-mcp/domain/Logs"
import type { DeploymentId } from "@deploy-mcp/domain/model/Ids"
import type { LogLine } from "@deploy-mcp/domain/model/LogLine"
import { Context, Effect, Layer } from "effect"
import { DeploymentEvents } from "./DeploymentEvents.ts"

export class DeploymentLog extends Context.Service<
  DeploymentLog,
  {
    /** Appends one line, unless the log is full, and publishes it. */
    readonly append: (
      deployment: DeploymentId,
      stream: LogLine["stream"],
      text: string
    ) => Effect.Effect<void>
    /** Succeeds also when there is nothing to remove. */
    readonly remove: (deployment: DeploymentId) => Effect.Effect<void>
    readonly read: (
      deployment: DeploymentId,
      reading: Omit<LogReading, "log">
    ) => Effect.Effect<LogPage>
  }
>()("@deploy-mcp/runtime/DeploymentLog") {
  static readonly layer = Layer.effect(
    DeploymentLog,
    Effect.gen(function* () {
      const logs = yield* Logs
      const events = yield* DeploymentEvents
      const logOf = (deployment: DeploymentId) => LogName.make(`deployments/${deployment}`)
      return {
        append: (deployment, stream, text) =>
          Effect.gen(function* () {
            const written = yield* Effect.orDie(logs.append(logOf(deployment), [{ stream, text }]))
            for (const line of written) yield* events.publish({ kind: "log", deployment, line })
          }),
        remove: (deployment) => Effect.orDie(logs.remove(logOf(deployment))),
        read: (deployment, reading) =>
          Effect.orDie(logs.read({ ...reading, log: logOf(deployment) }))
      }
    })
  )
}
