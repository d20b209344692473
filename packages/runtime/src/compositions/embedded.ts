/** Control and edge on one machine, nothing to install: a bill of materials. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { type Context, Effect, Layer, type Redacted } from "effect"
import { HttpRouter } from "effect/http"
import * as AuditLog from "../AuditLog.ts"
import * as FirstOwner from "../commands/FirstOwner.ts"
import * as EdgeProcess from "../EdgeProcess.ts"
import * as Api from "../http/Api.ts"
import * as DoorLimits from "../http/DoorLimits.ts"
import * as GitPush from "../http/GitPush.ts"
import * as Health from "../http/Health.ts"
import * as Landing from "../http/Landing.ts"
import * as McpDoor from "../http/McpDoor.ts"
import * as Measurements from "../http/Measurements.ts"
import * as Replays from "../http/Replays.ts"
import { Platform } from "../Platform.ts"
import * as Reconciler from "../reconcile/Reconciler.ts"
import * as Retention from "../retention/Retention.ts"
import { FrontDoor } from "../standby/FrontDoor.ts"
import { Succession } from "../standby/Succession.ts"
import * as Database from "../store/Database.ts"
import * as HomeLock from "../store/HomeLock.ts"
import { forPlatform } from "../store/Owned.ts"
import { core } from "./core.ts"
import * as Instances from "./instances.ts"

export interface EmbeddedOptions {
  readonly platform: Context.Service.Shape<typeof Platform>
  /** Postgres for the rows; null: a file in the home. */
  readonly databaseUrl: Redacted.Redacted | null
  /** Milliseconds of silence after which a process that stands by takes over. */
  readonly takeover: number
  /** Milliseconds between two comparisons of the world with rows; 0: there is one, at the start. */
  readonly reconcileEvery: number
  /** Milliseconds from one time that what is old is forgotten to the next; 0: there is one, after the start. */
  readonly pruneEvery: number
  /** Where instances are named; null: a file in the home if there is one. */
  readonly settingsFile: string | null
  /** `program`: its entry. */
  readonly edge: { readonly program: string; readonly settings: EdgeProcess.EdgeSettings }
  readonly version: string
}

export const embedded = (options: EmbeddedOptions) => {
  const { platform, databaseUrl, settingsFile, takeover, edge, version } = options
  const reconciling = { every: options.reconcileEvery, ...Reconciler.patience }
  const forgetting = { every: options.pruneEvery, ...Retention.pace }
  const { home, port, allowedHosts } = platform
  // The locks are under all else: nothing that another process holds may be touched.
  const world = Layer.mergeAll(
    Instances.open,
    EdgeProcess.layer(edge.program, edge.settings),
    AuditLog.layer(home)
  ).pipe(
    Layer.provideMerge(forPlatform(Instances.checkUse)),
    Layer.provideMerge(Database.layer(home, databaseUrl)),
    Layer.provideMerge(HomeLock.layerPid(home)),
    Layer.provideMerge(Succession.layer({ ...platform, url: databaseUrl, takeover })),
    Layer.provideMerge(FrontDoor.layer(port)),
    Layer.provideMerge(HomeLock.layer(home, { shared: databaseUrl !== null })),
    Layer.provideMerge(Instances.Selection.layer(home, settingsFile)),
    Layer.provideMerge(Layer.succeed(Platform, platform))
  )
  const doors = Layer.mergeAll(
    McpDoor.layer({ version, allowedHosts }),
    Api.layer({ allowedHosts }),
    Measurements.layer({ allowedHosts }),
    Replays.layer({ allowedHosts }),
    GitPush.layer,
    forPlatform(Health.layer),
    Landing.layer,
    DoorLimits.layer()
  )
  const server = Layer.unwrap(
    FrontDoor.use(({ server }) =>
      Effect.succeed(
        NodeHttpServer.layer(() => server, {
          port,
          host: "127.0.0.1",
          gracefulShutdownTimeout: "2 seconds"
        })
      )
    )
  )
  return HttpRouter.serve(doors, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(server),
    Layer.provideMerge(
      Layer.mergeAll(
        FirstOwner.layer,
        forPlatform(Reconciler.layer(reconciling)),
        forPlatform(Retention.layer(forgetting))
      )
    ),
    Layer.provideMerge(core(world))
  )
}
