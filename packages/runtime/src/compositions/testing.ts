/** The same rows, engine, workflows and commands over providers that live in memory. */
import { join } from "node:path"
import type { Build } from "@deploy-mcp/domain/Build"
import type { Deploy } from "@deploy-mcp/domain/Deploy"
import { Git } from "@deploy-mcp/domain/Git"
import { type Any, Host } from "@deploy-mcp/domain/Provider"
import * as BuildMemory from "@deploy-mcp/providers/build/memory/BuildMemory"
import * as DeployMemory from "@deploy-mcp/providers/deploy/memory/DeployMemory"
import * as GitMemory from "@deploy-mcp/providers/git/memory/GitMemory"
import * as IngressMemory from "@deploy-mcp/providers/ingress/memory/IngressMemory"
import { LogsEmbedded } from "@deploy-mcp/providers/logs/embedded/LogsEmbedded"
import { VaultLocal } from "@deploy-mcp/providers/vault/local/VaultLocal"
import { Context, Effect, Layer, Redacted } from "effect"
import * as Instances from "../Instances.ts"
import { Platform } from "../Platform.ts"
import * as Postgres from "../store/Postgres.ts"
import * as Sqlite from "../store/Sqlite.ts"
import { DeploySteps, layer as realSteps } from "../workflows/DeploySteps.ts"
import { aloneRunner, core, type Runner } from "./core.ts"

export interface TestingOptions {
  /** May put itself around each step. */
  readonly between?: (steps: DeploySteps["Service"]) => DeploySteps["Service"]
  /** A Postgres database of its own; SQLite in the home without it. */
  readonly databaseUrl?: string | undefined
  /** Milliseconds. */
  readonly trashRetention?: number
  /** Milliseconds. */
  readonly keptHistory?: number
  /** Bytes; every artifact has as many as its files. */
  readonly artifactQuota?: number
  /** Deployments that may be open; 0: any number. */
  readonly openPerKey?: number
  readonly openPerOwner?: number
  /** Bytes; every repository has as many as the files of its commits. */
  readonly repositoryQuota?: number
  /** Repositories, builds and the node that several control planes share. */
  readonly doubles?: ReturnType<typeof doublesIn>
  /** Reads public repositories of other hosts; without it there is only the built-in host. */
  readonly publicGit?: Layer.Layer<Git>
  /** Instances in place of the one that each service has. */
  readonly instances?: Layer.Layer<Instances.Builds | Instances.Deploys, never, Build | Deploy>
  readonly runner?: Runner
}

export const doublesIn = (home: string) =>
  Layer.mergeAll(
    GitMemory.layer,
    BuildMemory.layer(join(home, "artifacts")),
    DeployMemory.layer,
    IngressMemory.layer
  )

/** `home` is a folder that the test removes. */
export const testing = (
  home: string,
  {
    between = (steps) => steps,
    databaseUrl,
    trashRetention = 200,
    keptHistory = 86_400_000,
    artifactQuota = 0,
    openPerKey = 0,
    openPerOwner = 0,
    repositoryQuota = 0,
    doubles = doublesIn(home),
    publicGit,
    instances,
    runner = aloneRunner()
  }: TestingOptions = {}
) => {
  const platform = Layer.succeed(Platform, {
    home,
    port: 8081,
    appsPort: 8080,
    appsDomain: "localhost",
    gitHost: "internal",
    allowedHosts: [],
    startTimeout: 60_000,
    minFreeDisk: 0,
    artifactQuota,
    repositoryQuota,
    keptReleases: 5,
    openPerKey,
    openPerOwner,
    trashRetention,
    keptHistory
  })
  const provide = <Service>(provider: Any<Service>, directory: string) =>
    provider.layer.pipe(
      Layer.provide(
        Layer.succeed(Host, {
          directory,
          artifacts: join(home, "artifacts"),
          node: { bin: "", version: "" }
        })
      )
    )
  const world = Layer.mergeAll(
    platform,
    Layer.mergeAll(
      Instances.singles,
      ...(publicGit === undefined ? [] : [alsoPublic(publicGit)]),
      ...(instances === undefined ? [] : [instances])
    ).pipe(Layer.provideMerge(doubles)),
    provide(LogsEmbedded, join(home, "logs")),
    provide(VaultLocal, home),
    databaseUrl === undefined
      ? Sqlite.layer(join(home, "deploy-mcp.db"))
      : Layer.orDie(Postgres.layer(Redacted.make(databaseUrl)))
  )
  const steps = Layer.effect(DeploySteps, Effect.map(DeploySteps, between)).pipe(
    Layer.provide(realSteps)
  )
  return core(world, steps, runner)
}

const alsoPublic = (publicGit: Layer.Layer<Git>) =>
  Layer.effect(
    Instances.Gits,
    Effect.gen(function* () {
      const internal = yield* Git
      const other = Context.get(yield* Layer.build(Layer.fresh(publicGit)), Git)
      return Instances.make(
        new Map([
          ["internal", internal],
          ["public", other]
        ]),
        "internal"
      )
    })
  )
