/** What every composition shares: stores, engine, workflows and commands over some providers. */
import type { Logs } from "@deploy-mcp/domain/Logs"
import type { Vault } from "@deploy-mcp/domain/Vault"
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import { type Duration, Layer } from "effect"
import * as ClusterWorkflowEngine from "effect/cluster/ClusterWorkflowEngine"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as Runners from "effect/cluster/Runners"
import * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import type { SqlClient } from "effect/sql/SqlClient"
import * as Accounts from "../commands/Accounts.ts"
import * as Deployments from "../commands/Deployments.ts"
import * as MissedPushes from "../commands/MissedPushes.ts"
import { Present } from "../commands/Present.ts"
import * as Pushes from "../commands/Pushes.ts"
import * as Repositories from "../commands/Repositories.ts"
import { ServiceLogs } from "../commands/ServiceLogs.ts"
import { ServiceLookup } from "../commands/ServiceLookup.ts"
import * as Services from "../commands/Services.ts"
import { Sources } from "../commands/Sources.ts"
import { DeploymentEvents } from "../DeploymentEvents.ts"
import { DeploymentLog } from "../DeploymentLog.ts"
import * as Ids from "../Ids.ts"
import type { Builds, Deploys, Gits, Ingresses } from "../Instances.ts"
import type { Platform } from "../Platform.ts"
import * as Publisher from "../Publisher.ts"
import { AccountStore } from "../store/AccountStore.ts"
import { CommonStore } from "../store/CommonStore.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import * as EngineDatabase from "../store/EngineDatabase.ts"
import { IdempotencyStore } from "../store/IdempotencyStore.ts"
import * as Journal from "../store/Journal.ts"
import { JournalStore } from "../store/JournalStore.ts"
import * as Migrations from "../store/Migrations.ts"
import { forCallers, forPlatform } from "../store/Owned.ts"
import { ReleaseStore } from "../store/ReleaseStore.ts"
import { RepositoryStore } from "../store/RepositoryStore.ts"
import { ServiceStore } from "../store/ServiceStore.ts"
import { Transactions } from "../store/Transactions.ts"
import { TrashStore } from "../store/TrashStore.ts"
import { UsageStore } from "../store/UsageStore.ts"
import { ArtifactTurn } from "../workflows/ArtifactTurn.ts"
import * as Coordinator from "../workflows/Coordinator.ts"
import * as DeployService from "../workflows/DeployService.ts"
import * as DeploySteps from "../workflows/DeploySteps.ts"
import * as RemoveService from "../workflows/RemoveService.ts"
import * as RetireRelease from "../workflows/RetireRelease.ts"

/**
 * Where workflows run when this process is alone with the database, which its locks see to. `reread` is
 * how late a timer of a workflow may be: nothing else waits for the journal to be read again.
 */
export const aloneRunner = (reread: Duration.Input = "1 second") =>
  Sharding.layer.pipe(
    Layer.provideMerge(Runners.layerNoop),
    Layer.provideMerge(Journal.layer(reread)),
    // Nobody else is there, so locks on shards would only cost a commit a message.
    Layer.provide([RunnerStorage.layerMemory, RunnerHealth.layerNoop]),
    Layer.provide(
      ShardingConfig.layer({
        entityMessagePollInterval: reread,
        entityTerminationTimeout: "2 seconds"
      })
    )
  )

export type Runner = ReturnType<typeof aloneRunner>

/** Durable workflows in the database that is there. */
export const engineOn = (runner: Runner = aloneRunner()) =>
  ClusterWorkflowEngine.layer.pipe(
    Layer.provideMerge(runner),
    Layer.provide(Layer.merge(NodeCrypto.layerDigest, EngineDatabase.layer))
  )

const stores = Layer.mergeAll(
  AccountStore.layer,
  forPlatform(CommonStore.layer),
  RepositoryStore.layer,
  ServiceStore.layer,
  DeploymentStore.layer,
  ReleaseStore.layer,
  TrashStore.layer,
  IdempotencyStore.layer,
  JournalStore.layer,
  UsageStore.layer,
  Transactions.layer
)

const workflows = Layer.mergeAll(DeployService.layer, RetireRelease.layer, RemoveService.layer)

const commands = forCallers(
  Layer.mergeAll(Services.layer, Deployments.layer, Repositories.layer).pipe(
    Layer.provideMerge(Pushes.layer),
    Layer.provideMerge(Accounts.layer),
    Layer.provideMerge(ServiceLogs.layer),
    Layer.provideMerge(Layer.merge(ServiceLookup.layer, Sources.layer)),
    Layer.provideMerge(Present.layer)
  )
)

/** `steps`, `runner` and `ids` may be replaced by a test that wants to be between them, several, or sure. */
export const core = <Extra, E, R>(
  world: Layer.Layer<
    Extra | Platform | SqlClient | Gits | Builds | Deploys | Ingresses | Logs | Vault,
    E,
    R
  >,
  steps: typeof DeploySteps.layer = DeploySteps.layer,
  runner: Runner = aloneRunner(),
  ids: typeof Ids.layer = Ids.layer
) =>
  commands.pipe(
    Layer.provideMerge(forPlatform(MissedPushes.layer)),
    Layer.provideMerge(forPlatform(Coordinator.layer)),
    Layer.provideMerge(forPlatform(workflows)),
    Layer.provideMerge(forPlatform(steps)),
    Layer.provideMerge(DeploymentLog.layer),
    Layer.provideMerge(forPlatform(Publisher.layer)),
    Layer.provideMerge(engineOn(runner)),
    Layer.provideMerge(stores),
    Layer.provideMerge(Migrations.layer),
    Layer.provideMerge(Layer.mergeAll(ids, DeploymentEvents.layer, ArtifactTurn.layer)),
    Layer.provideMerge(world)
  )
