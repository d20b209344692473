/** Control and edge on one machine, one file on disk, nothing to install: a bill of materials. */
import { createServer } from "node:http"
import { dirname, join } from "node:path"
import { Host, type Provider } from "@deploy-mcp/domain/Provider"
import { build, deploy, git, vault } from "@deploy-mcp/providers/catalog"
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { type Context, Effect, Layer } from "effect"
import * as ClusterWorkflowEngine from "effect/cluster/ClusterWorkflowEngine"
import * as SingleRunner from "effect/cluster/SingleRunner"
import { HttpRouter } from "effect/http"
import * as Accounts from "../commands/Accounts.ts"
import * as Deployments from "../commands/Deployments.ts"
import { Present } from "../commands/Present.ts"
import * as Pushes from "../commands/Pushes.ts"
import * as Repositories from "../commands/Repositories.ts"
import { ServiceLogs } from "../commands/ServiceLogs.ts"
import * as Services from "../commands/Services.ts"
import { DeploymentEvents } from "../DeploymentEvents.ts"
import { DeploymentLog } from "../DeploymentLog.ts"
import * as EdgeProcess from "../EdgeProcess.ts"
import * as Api from "../http/Api.ts"
import * as GitPush from "../http/GitPush.ts"
import * as Health from "../http/Health.ts"
import * as McpDoor from "../http/McpDoor.ts"
import * as Ids from "../Ids.ts"
import { Platform } from "../Platform.ts"
import * as Publisher from "../Publisher.ts"
import { AccountStore } from "../store/AccountStore.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import * as HomeLock from "../store/HomeLock.ts"
import { IdempotencyStore } from "../store/IdempotencyStore.ts"
import * as Migrations from "../store/Migrations.ts"
import { ReleaseStore } from "../store/ReleaseStore.ts"
import { RepositoryStore } from "../store/RepositoryStore.ts"
import { ServiceStore } from "../store/ServiceStore.ts"
import * as Sqlite from "../store/Sqlite.ts"
import * as Coordinator from "../workflows/Coordinator.ts"
import * as DeployService from "../workflows/DeployService.ts"
import * as DeploySteps from "../workflows/DeploySteps.ts"
import * as RemoveService from "../workflows/RemoveService.ts"
import * as RetireRelease from "../workflows/RetireRelease.ts"

export interface EmbeddedOptions {
  readonly platform: Context.Service.Shape<typeof Platform>
  /** Entry of the edge's program. */
  readonly edge: string
  readonly version: string
}

export const embedded = ({ platform, edge, version }: EmbeddedOptions) => {
  const { home } = platform
  const node = { bin: dirname(process.execPath), version: process.versions.node }
  const provide = <Id extends string, S, A>(provider: Provider<Id, S, A>, folder: string) =>
    Layer.unwrap(Effect.map(provider.config, provider.make)).pipe(
      Layer.provide(
        Layer.succeed(Host, {
          directory: join(home, folder),
          artifacts: join(home, "artifacts"),
          node
        })
      )
    )

  const facts = Layer.mergeAll(Layer.succeed(Platform, platform), Ids.layer, DeploymentEvents.layer)
  const providers = Layer.mergeAll(
    provide(git[0], "git"),
    provide(build[0], "build"),
    provide(deploy[0], "."),
    provide(vault[0], ".")
  )
  const database = Migrations.layer.pipe(
    Layer.provideMerge(Sqlite.layer(join(home, "deploy-mcp.db"))),
    Layer.provideMerge(HomeLock.layer(home))
  )
  const stores = Layer.mergeAll(
    AccountStore.layer,
    RepositoryStore.layer,
    ServiceStore.layer,
    DeploymentStore.layer,
    ReleaseStore.layer,
    IdempotencyStore.layer
  )
  const engine = ClusterWorkflowEngine.layer.pipe(
    Layer.provideMerge(
      SingleRunner.layer({
        shardingConfig: {
          entityMessagePollInterval: "1 second",
          entityTerminationTimeout: "2 seconds"
        }
      })
    ),
    Layer.provide(NodeCrypto.layerDigest)
  )
  const workflows = Layer.mergeAll(
    DeployService.layer,
    RetireRelease.layer,
    RemoveService.layer
  ).pipe(Layer.provideMerge(DeploySteps.layer))
  const commands = Layer.mergeAll(Services.layer, Deployments.layer, Repositories.layer).pipe(
    Layer.provideMerge(ServiceLogs.layer),
    Layer.provideMerge(Present.layer)
  )
  const pushes = Pushes.layer.pipe(Layer.provideMerge(Accounts.layer), Layer.provide(Present.layer))
  const doors = Layer.mergeAll(
    McpDoor.layer({ version, allowedHosts: platform.allowedHosts }),
    Api.layer({ allowedHosts: platform.allowedHosts }),
    GitPush.layer,
    Health.layer
  )
  const server = NodeHttpServer.layer(
    () => createServer({ requestTimeout: 0, headersTimeout: 10_000, maxHeaderSize: 16 * 1024 }),
    { port: platform.port, host: "127.0.0.1" }
  )

  return HttpRouter.serve(doors, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(server),
    Layer.provide(commands),
    Layer.provideMerge(pushes),
    Layer.provideMerge(Coordinator.layer),
    Layer.provideMerge(workflows),
    Layer.provideMerge(DeploymentLog.layer),
    Layer.provideMerge(Publisher.layer),
    Layer.provideMerge(EdgeProcess.layer(edge)),
    Layer.provideMerge(engine),
    Layer.provideMerge(providers),
    Layer.provideMerge(stores),
    Layer.provideMerge(database),
    Layer.provideMerge(facts)
  )
}
