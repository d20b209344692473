/** What is outside of the control process and outlives it: repositories, builds, a node, logs, a disk. */
import { Deploy } from "@deploy-mcp/domain/Deploy"
import { Git } from "@deploy-mcp/domain/Git"
import { Logs } from "@deploy-mcp/domain/Logs"
import { Vault } from "@deploy-mcp/domain/Vault"
import * as BuildMemory from "@deploy-mcp/providers/build/memory/BuildMemory"
import * as DeployMemory from "@deploy-mcp/providers/deploy/memory/DeployMemory"
import * as GitMemory from "@deploy-mcp/providers/git/memory/GitMemory"
import * as IngressMemory from "@deploy-mcp/providers/ingress/memory/IngressMemory"
import * as LogsMemory from "@deploy-mcp/providers/logs/memory/LogsMemory"
import * as VaultMemory from "@deploy-mcp/providers/vault/memory/VaultMemory"
import { Effect, Layer } from "effect"

const layers = () =>
  Layer.mergeAll(
    GitMemory.layer,
    DeployMemory.layer,
    IngressMemory.layer,
    LogsMemory.layer.pipe(Layer.provideMerge(LogsMemory.LogsWorld.layer)),
    VaultMemory.layer
  )

export const worldsIn = (artifacts: string) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(layers())
    return yield* Effect.gen(function* () {
      return {
        context,
        git: yield* Git,
        /** A builder of its own for each life, over the same artifacts; it holds its turns in memory. */
        builder: () => Effect.runSync(Effect.scoped(Layer.build(BuildMemory.layer(artifacts)))),
        deploy: yield* Deploy,
        logs: yield* Logs,
        vault: yield* Vault,
        repositories: yield* GitMemory.GitWorld,
        node: yield* DeployMemory.NodeWorld,
        logbook: (yield* LogsMemory.LogsWorld).logs
      }
    }).pipe(Effect.provide(context))
  })

export type Worlds = Effect.Success<ReturnType<typeof worldsIn>>
