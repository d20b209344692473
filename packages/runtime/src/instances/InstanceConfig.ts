/**
 * What one instance is configured with, as its provider's Config sees it: the environment, then its
 * table. Refuses what is missing, what has another type and what the provider does not know.
 */
import { nearest } from "@deploy-mcp/mcp/Nearest"
import { type Config, ConfigProvider, Effect, SchemaIssue } from "effect"
import { type InstanceTable, placeOf, refused } from "./SettingsFile.ts"

/** The provider's settings and where they are read; fails with one line for whoever wrote them. */
export const configOf = Effect.fnUntraced(function* (
  file: string,
  table: InstanceTable,
  config: Config.Config<unknown>
) {
  const ambient = yield* ConfigProvider.ConfigProvider
  const asked = new Set<string>()
  const scoped = noting(asked, layered(ambient, table))
  // Nothing is found, so everything is asked for.
  yield* Effect.exit(config.parse(noting(asked, nothing)))
  const result = yield* Effect.result(config.parse(scoped))
  const unknown = Object.keys(table.values).find((key) => !asked.has(key))
  if (unknown !== undefined) {
    return yield* refused(`${file}: ${placeOf(table)} ${unknown}: ${unknownOf(unknown, asked)}`)
  }
  if (result._tag === "Success") return scoped
  const { cause } = result.failure
  const [issue] = "issue" in cause ? format(cause.issue).issues : []
  const path = issue?.path?.map(String) ?? []
  const [setting = "settings"] = path
  const rule = lowerFirst(issue?.message ?? "it cannot be read")
  const given = yield* Effect.orDie(inEnvironment(ambient, table, setting))
  if (given !== undefined) return yield* refused(`${given.name}: ${rule}.`)
  return yield* refused(
    setting in table.values
      ? `${file}: ${placeOf(table)} ${path.join(".")}: ${rule}.`
      : `${file}: ${placeOf(table)} ${setting}: is missing (${rule}); set it there or as ${environmentName(table, setting)}.`
  )
})

/** A setting's name in the environment: `DEPLOY_MCP_DEPLOY_DOCKER_SOCKET`. */
export const environmentName = (
  { service, name }: Pick<InstanceTable, "service" | "name">,
  setting: string
): string => ["DEPLOY_MCP", service, name, setting].join("_").toUpperCase().replaceAll("-", "_")

const format = SchemaIssue.makeFormatterStandardSchemaV1()

const nothing = ConfigProvider.make(() => Effect.undefined)

/** The environment wins, so that a secret can stay out of the file. */
const layered = (ambient: ConfigProvider.ConfigProvider, table: InstanceTable) => {
  const written = ConfigProvider.fromUnknown(table.values)
  return ConfigProvider.make((path) =>
    Effect.gen(function* () {
      const [setting] = path
      if (path.length > 1 || typeof setting !== "string") return yield* written.load(path)
      const given = yield* inEnvironment(ambient, table, setting)
      const node = given?.node ?? (yield* written.load(path))
      // Where programs are found is the same for all, unless one says otherwise.
      return node === undefined && setting === "path" ? yield* ambient.load(["PATH"]) : node
    })
  )
}

/** A setting that is given there, under the first of its names. */
const inEnvironment = Effect.fnUntraced(function* (
  ambient: ConfigProvider.ConfigProvider,
  table: InstanceTable,
  setting: string
) {
  for (const name of namesOf(table, setting)) {
    const node = yield* ambient.load([name])
    if (node?.value !== undefined && node.value !== "") return { name, node }
  }
  return undefined
})

const namesOf = (table: InstanceTable, setting: string): ReadonlyArray<string> => {
  const fixed = table.fixed[setting]
  if (fixed !== undefined) return [fixed]
  const other = table.environment[setting]
  return [environmentName(table, setting), ...(other === undefined ? [] : [other])]
}

const noting = (asked: Set<string>, provider: ConfigProvider.ConfigProvider) =>
  ConfigProvider.make((path) => {
    if (typeof path[0] === "string") asked.add(path[0])
    return provider.load(path)
  })

const unknownOf = (given: string, asked: ReadonlySet<string>): string => {
  const known = [...asked].toSorted()
  const [meant] = nearest(given, known)
  return meant === undefined
    ? `there is no such setting; the settings are ${known.join(", ") || "none"}.`
    : `there is no such setting; did you mean ${meant}?`
}

const lowerFirst = (text: string) => text.slice(0, 1).toLowerCase() + text.slice(1)
