/** Which instances of one service there are, each with its provider and its settings, all checked. */
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { pathToFileURL } from "node:url"
import * as Provider from "@deploy-mcp/domain/Provider"
import { ConfigProvider, type Context, Effect } from "effect"
import { platformSettings, type ServiceWord } from "./Builtin.ts"
import { configOf, environmentName } from "./InstanceConfig.ts"
import {
  type InstanceTable,
  placeOf,
  refused,
  type SettingsRefused,
  type SettingsTables
} from "./SettingsFile.ts"

export interface Chosen<Service> {
  readonly name: string
  readonly provider: Provider.Any<Service>
  readonly config: ConfigProvider.ConfigProvider
  readonly own: Readonly<Record<string, string>>
  readonly folder: string
}

/** What is known of instances of whatever service. */
export interface Named {
  readonly instances: ReadonlyArray<Pick<Chosen<never>, "name" | "own">>
}

export interface Choice<Service> extends Named {
  readonly default: string
  readonly instances: ReadonlyArray<Chosen<Service>>
}

/** Fails with one line for whoever wrote the settings. */
export const choose = <Service>(
  tables: SettingsTables,
  word: ServiceWord,
  service: Context.Key<Service, unknown>,
  catalogue: ReadonlyArray<Provider.Any<Service>>
): Effect.Effect<Choice<Service>, SettingsRefused> =>
  Effect.gen(function* () {
    const instances: Array<Chosen<Service>> = []
    for (const table of tables.instances.filter((table) => table.service === word)) {
      const { name, folder } = table
      const offered =
        table.module === null ? catalogue : yield* providersIn(tables.file, table, service)
      const provider = yield* pick(tables.file, table, offered)
      const config = yield* configOf(tables.file, table, provider.config)
      instances.push({ name, provider, config, own: yield* ownOf(table), folder })
    }
    return { default: tables.defaults.get(word) ?? "", instances }
  })

/** A setting of the platform's own that names an instance of another service must name one that is there. */
export const checkLinks = Effect.fnUntraced(function* (
  { file }: SettingsTables,
  word: ServiceWord,
  setting: ServiceWord,
  from: Named,
  to: Named
) {
  const names = to.instances.map(({ name }) => name)
  for (const { name, own } of from.instances) {
    const wanted = own[setting]
    if (wanted === undefined || names.includes(wanted)) continue
    return yield* refused(
      `${file}: ${placeOf({ service: word, name })} ${setting}: there is no instance '${wanted}'; the instances are ${names.join(", ")}.`
    )
  }
})

const pick = <Service>(
  file: string,
  table: InstanceTable,
  offered: ReadonlyArray<Provider.Any<Service>>
) =>
  Effect.suspend(() => {
    const ids = offered.map(({ id }) => id).join(", ")
    const found =
      table.provider === null && offered.length === 1
        ? offered[0]
        : offered.find(({ id }) => id === table.provider)
    if (found !== undefined) return Effect.succeed(found)
    const problem =
      table.provider === null
        ? `is missing; ${table.module} has several`
        : `there is no provider '${table.provider}'`
    return refused(
      `${file}: ${placeOf(table)} provider: ${problem}; the providers of ${table.service} are ${ids}.`
    )
  })

/** Those of the service that a module exports, by whatever name or in a list. */
const providersIn = Effect.fnUntraced(function* <Service>(
  file: string,
  table: InstanceTable,
  service: Context.Key<Service, unknown>
) {
  const wrong = (problem: string) =>
    refused(`${file}: ${placeOf(table)} module: ${table.module}: ${problem}.`)
  const path = yield* Effect.try({
    try: () => createRequire(join(dirname(file), "_")).resolve(table.module ?? ""),
    catch: (cause) => wrong(`cannot be found from ${dirname(file)} (${firstLine(cause)})`)
  })
  const exported = yield* Effect.tryPromise({
    try: (): Promise<Readonly<Record<string, unknown>>> => import(pathToFileURL(path).href),
    catch: (cause) => wrong(`cannot be loaded (${firstLine(cause)})`)
  })
  const found = Object.values(exported)
    .flat()
    .filter((value) => Provider.isProviderOf(service, value))
  return found.length === 0
    ? yield* wrong(`exports no provider of ${table.service} (a value of Provider.make)`)
    : found
})

const ownOf = Effect.fnUntraced(function* (table: InstanceTable) {
  const ambient = yield* ConfigProvider.ConfigProvider
  const own: Record<string, string> = { ...table.own }
  for (const setting of platformSettings[table.service] ?? []) {
    const node = yield* Effect.orDie(ambient.load([environmentName(table, setting)]))
    if (node?.value !== undefined && node.value !== "") own[setting] = node.value
  }
  return own
})

const firstLine = (cause: unknown) =>
  (cause instanceof Error ? cause.message : String(cause)).split("\n")[0] ?? ""
