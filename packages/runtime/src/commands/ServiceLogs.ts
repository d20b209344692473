/** Build logs from control's own files, runtime logs from the node. */
import type { LogPage, LogQuery } from "@deploy-mcp/domain/commands/Services"
import type { LogLineView } from "@deploy-mcp/domain/commands/Views"
import { CommandError, refuse } from "@deploy-mcp/domain/Failure"
import { failureOf } from "@deploy-mcp/domain/Fault"
import { type LogReading, pageOf } from "@deploy-mcp/domain/Logs"
import { type LogLine, type LogSearch, readableText } from "@deploy-mcp/domain/model/LogLine"
import type { Principal } from "@deploy-mcp/domain/model/Principal"
import { Context, Effect, Layer, Option, Stream } from "effect"
import { DeploymentLog } from "../DeploymentLog.ts"
import { Deploys } from "../Instances.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import type { ServiceRow } from "../store/ServiceStore.ts"
import { iso } from "./Present.ts"

export class ServiceLogs extends Context.Service<
  ServiceLogs,
  {
    readonly page: (service: ServiceRow, query: LogQuery) => Effect.Effect<LogPage, CommandError>
    readonly newestBuild: (
      service: ServiceRow,
      lines: number
    ) => Effect.Effect<ReadonlyArray<LogLineView>>
    /** Empty while the node is away. */
    readonly newestRuntime: (
      service: ServiceRow,
      lines: number
    ) => Effect.Effect<ReadonlyArray<LogLineView>>
    readonly follow: (
      service: Effect.Effect<ServiceRow, CommandError, Principal>,
      tail: number,
      search: LogSearch
    ) => Stream.Stream<LogLine, CommandError, Principal>
  }
>()("@deploy-mcp/runtime/ServiceLogs") {
  static readonly layer = Layer.effect(
    ServiceLogs,
    Effect.gen(function* () {
      const deploys = yield* Deploys
      const log = yield* DeploymentLog
      const deployments = yield* DeploymentStore

      const runtime = (
        { stageId: stage, deployInstance }: ServiceRow,
        after: number | null,
        tail: number,
        search: LogSearch = {}
      ) =>
        deploys
          .get(deployInstance)
          .logs({ ...search, stage, after, tail, follow: false })
          .pipe(
            Stream.runCollect,
            Effect.timeoutOrElse({
              duration: "5 seconds",
              orElse: () => Effect.succeed([])
            }),
            Effect.mapError((error) => new CommandError({ failure: failureOf(error.reason) }))
          )

      const build = Effect.fnUntraced(function* (
        service: ServiceRow,
        number: number | undefined,
        reading: Omit<LogReading, "log">
      ) {
        const deployment =
          number === undefined
            ? yield* deployments.newest(service.ownerId, service.stageId)
            : yield* deployments.byNumber(service.ownerId, service.stageId, number)
        if (Option.isSome(deployment)) return yield* log.read(deployment.value.id, reading)
        if (number === undefined) return pageOf([], reading)
        return yield* refuse("not_found", `deployment: there is no ${service.name}#${number}.`, {
          next: `Call list_deployments with name ${service.name}.`
        })
      })

      return {
        page: Effect.fnUntraced(function* (service, query) {
          const { after = null, tail } = query
          const search = searchOf(query)
          const reading = { after, tail, ...search }
          return query.source === "runtime"
            ? pageOf(yield* runtime(service, after, tail, search), reading)
            : yield* build(service, query.deployment, reading)
        }),
        newestBuild: (service, lines) =>
          build(service, undefined, { after: null, tail: lines }).pipe(
            Effect.orElseSucceed(() => ({ lines: [] })),
            Effect.map((page) => newest(page.lines, lines))
          ),
        newestRuntime: (service, lines) =>
          lines === 0
            ? Effect.succeed([])
            : runtime(service, null, lines).pipe(
                Effect.orElseSucceed(() => []),
                Effect.map((all) => newest(all, lines))
              ),
        follow: (service, tail, search) =>
          Stream.unwrap(
            Effect.map(service, ({ stageId: stage, deployInstance }) =>
              deploys
                .get(deployInstance)
                .logs({ ...search, stage, after: null, tail, follow: true })
                .pipe(
                  Stream.mapError((error) => new CommandError({ failure: failureOf(error.reason) }))
                )
            )
          )
      }
    })
  )
}

/** What a query looks for, without the rest of it. */
export const searchOf = ({ contains, since }: LogSearch): LogSearch => ({
  ...(contains === undefined ? {} : { contains }),
  ...(since === undefined ? {} : { since })
})

const newest = (lines: ReadonlyArray<LogLine>, count: number): ReadonlyArray<LogLineView> =>
  (count === 0 ? [] : lines.slice(-count)).map((line) => ({
    at: iso(line.at),
    stream: line.stream,
    text: readableText(line)
  }))
