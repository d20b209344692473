/** Every instance that the settings name, from the catalogue or a module: a bill of materials. */
import { Build } from "@deploy-mcp/domain/Build"
import { Deploy } from "@deploy-mcp/domain/Deploy"
import { Dns } from "@deploy-mcp/domain/Dns"
import { Git } from "@deploy-mcp/domain/Git"
import { Ingress } from "@deploy-mcp/domain/Ingress"
import { Logs } from "@deploy-mcp/domain/Logs"
import { Vault } from "@deploy-mcp/domain/Vault"
import * as catalog from "@deploy-mcp/providers/catalog"
import { Context, Effect, Layer } from "effect"
import { Builds, Deploys, Dnses, Gits, Ingresses } from "../Instances.ts"
import { checkLinks, choose } from "../instances/Choice.ts"
import * as InUse from "../instances/InUse.ts"
import { openDefault, openInstances } from "../instances/OpenInstances.ts"
import { readSettings } from "../instances/SettingsFile.ts"

/** Reads and checks all settings before anything is opened. */
const select = Effect.fnUntraced(function* (home: string, settingsFile: string | null) {
  const tables = yield* readSettings(home, settingsFile)
  const choices = yield* Effect.all({
    git: choose(tables, "git", Git, catalog.git),
    build: choose(tables, "build", Build, catalog.build),
    deploy: choose(tables, "deploy", Deploy, catalog.deploy),
    ingress: choose(tables, "ingress", Ingress, catalog.ingress),
    dns: choose(tables, "dns", Dns, catalog.dns),
    logs: choose(tables, "logs", Logs, catalog.logs),
    vault: choose(tables, "vault", Vault, catalog.vault)
  })
  yield* checkLinks(tables, "deploy", "build", choices.deploy, choices.build)
  return { file: tables.file, ...choices }
})

export class Selection extends Context.Service<
  Selection,
  Effect.Success<ReturnType<typeof select>>
>()("@deploy-mcp/runtime/Selection") {
  static readonly layer = (home: string, settingsFile: string | null) =>
    Layer.effect(Selection, select(home, settingsFile))
}

/** Refuses a selection without an instance that rows use. */
export const checkUse = Layer.unwrap(
  Effect.map(Selection, ({ file, ...choices }) => InUse.layer(file, choices))
)

export const open = Layer.unwrap(
  Effect.map(Selection, ({ git, build, deploy, ingress, dns, logs, vault }) =>
    Layer.mergeAll(
      openInstances(Gits, Git, git),
      openInstances(Builds, Build, build),
      openInstances(Deploys, Deploy, deploy),
      openInstances(Ingresses, Ingress, ingress),
      openInstances(Dnses, Dns, dns),
      openDefault(Logs, logs),
      openDefault(Vault, vault)
    )
  )
)
