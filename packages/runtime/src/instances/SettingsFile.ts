/**
 * The settings file: tables `[<service>.<instance>]` with a provider and its settings, and
 * `[default]` with the instance of each service that new rows get. Without a file there are the
 * built-in instances.
 */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Schema } from "effect"
import { builtins, platformSettings, type ServiceWord, services } from "./Builtin.ts"

/** Why the platform does not start with these settings: one line for whoever wrote them. */
export class SettingsRefused extends Schema.TaggedError<SettingsRefused>()("SettingsRefused", {
  message: Schema.String
}) {}

export const refused = (message: string) => new SettingsRefused({ message })

/** One instance as its table says, or as it is built in. */
export interface InstanceTable {
  readonly service: ServiceWord
  readonly name: string
  readonly provider: string | null
  /** A package or a path with the provider, seen from the settings file. */
  readonly module: string | null
  /** The provider's own settings, in lower snake_case. */
  readonly values: Readonly<Record<string, unknown>>
  /** What the platform itself reads. */
  readonly own: Readonly<Record<string, string>>
  readonly folder: string
  readonly environment: Readonly<Record<string, string>>
  readonly fixed: Readonly<Record<string, string>>
}

export interface SettingsTables {
  readonly file: string
  readonly instances: ReadonlyArray<InstanceTable>
  readonly defaults: ReadonlyMap<ServiceWord, string>
}

/** `given` must be there; without it the file in the home is read if there is one. */
export const readSettings = Effect.fnUntraced(function* (home: string, given: string | null) {
  const file = given ?? join(home, "deploy-mcp.toml")
  if (!existsSync(file)) {
    if (given === null) return yield* tablesOf(file, {})
    return yield* refused(`${file}: there is no such file; correct DEPLOY_MCP_SETTINGS.`)
  }
  const toml = yield* Effect.promise(() => import("smol-toml"))
  const document = yield* Effect.try({
    try: () => toml.parse(readFileSync(file, "utf8")),
    catch: (cause) => refused(unreadable(file, cause))
  })
  return yield* tablesOf(file, document)
})

/** `[deploy.docker]` */
export const placeOf = ({ service, name }: Pick<InstanceTable, "service" | "name">) =>
  `[${service}.${name}]`

const unreadable = (file: string, cause: unknown): string => {
  const [message = "it cannot be read"] =
    cause instanceof Error ? cause.message.split("\n") : [String(cause)]
  const line = cause instanceof Error && "line" in cause ? ` line ${cause.line}` : ""
  return `${file}${line}: ${message.replace("Invalid TOML document: ", "")}.`
}

const tablesOf = Effect.fnUntraced(function* (
  file: string,
  document: Readonly<Record<string, unknown>>
) {
  const { default: chosen = {}, ...sections } = document
  const given: Array<InstanceTable> = []
  for (const [word, tables] of Object.entries(sections)) {
    const service = services.find((known) => known === word)
    if (service === undefined) {
      return yield* refused(
        `${file}: there is no service '${word}'; the services are ${services.join(", ")}.`
      )
    }
    for (const [name, values] of Object.entries(isTable(tables) ? tables : { "": tables })) {
      given.push(yield* instanceOf(file, service, name, values))
    }
  }
  // Built-in ones first, changed or not: the first of a service is its default.
  const untouched = builtins.map((one) => ({ ...one, module: null, values: {}, own: {} }))
  const instances = [
    ...untouched.map((one) => given.find(({ service, name }) => isSame(one, service, name)) ?? one),
    ...given.filter(({ service, name }) => !builtins.some((one) => isSame(one, service, name)))
  ]
  return { file, instances, defaults: yield* defaultsOf(file, chosen, instances) }
})

const namePattern = /^[a-z][a-z0-9-]{0,30}$/

const instanceOf = Effect.fnUntraced(function* (
  file: string,
  service: ServiceWord,
  name: string,
  values: unknown
): Effect.fn.Return<InstanceTable, SettingsRefused> {
  const place = placeOf({ service, name })
  if (!isTable(values)) {
    return yield* refused(
      `${file}: [${service}] holds no settings itself; write a table for each instance, e.g. [${service}.main].`
    )
  }
  if (!namePattern.test(name)) {
    return yield* refused(
      `${file}: ${place}: a name has up to 31 lower-case letters, digits and dashes, and begins with a letter.`
    )
  }
  const builtin = builtins.find((one) => isSame(one, service, name))
  const { provider = null, module = null, ...rest } = values
  const ownNames = platformSettings[service] ?? []
  const texts = { provider, module, ...pick(rest, ownNames) }
  for (const [key, value] of Object.entries(texts)) {
    if (value !== null && typeof value !== "string") {
      return yield* refused(`${file}: ${place} ${key}: must be text in quotes.`)
    }
  }
  const isBuiltin =
    builtin !== undefined && module === null && (provider ?? builtin.provider) === builtin.provider
  const fixed = Object.entries(isBuiltin ? builtin.fixed : {}).find(([key]) => key in rest)
  if (fixed !== undefined) {
    return yield* refused(
      `${file}: ${place} ${fixed[0]}: the whole platform has to agree on it; set ${fixed[1]} instead.`
    )
  }
  if (provider === null && module === null && builtin === undefined) {
    return yield* refused(`${file}: ${place} provider: is missing; it names the provider's id.`)
  }
  return {
    service,
    name,
    provider: typeof provider === "string" ? provider : isBuiltin ? builtin.provider : null,
    module: typeof module === "string" ? module : null,
    values: Object.fromEntries(Object.entries(rest).filter(([key]) => !ownNames.includes(key))),
    own: pickTexts(rest, ownNames),
    folder: isBuiltin ? builtin.folder : join("instances", `${service}.${name}`),
    environment: isBuiltin ? builtin.environment : {},
    fixed: isBuiltin ? builtin.fixed : {}
  }
})

const defaultsOf = Effect.fnUntraced(function* (
  file: string,
  chosen: unknown,
  instances: ReadonlyArray<InstanceTable>
) {
  const defaults = new Map<ServiceWord, string>()
  for (const { service, name } of instances) {
    if (!defaults.has(service)) defaults.set(service, name)
  }
  if (!isTable(chosen)) return yield* refused(`${file}: default: must be a table, [default].`)
  for (const [word, name] of Object.entries(chosen)) {
    const service = services.find((known) => known === word)
    if (service === undefined) {
      return yield* refused(
        `${file}: [default] ${word}: there is no such service; the services are ${services.join(", ")}.`
      )
    }
    const names = instances.filter((one) => one.service === service).map((one) => one.name)
    if (typeof name !== "string" || !names.includes(name)) {
      return yield* refused(
        `${file}: [default] ${word}: there is no instance '${String(name)}'; the instances are ${names.join(", ") || "none"}.`
      )
    }
    defaults.set(service, name)
  }
  return defaults
})

const isSame = (
  one: { readonly service: string; readonly name: string },
  service: string,
  name: string
) => one.service === service && one.name === name

const isTable = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date)

const pick = (values: Readonly<Record<string, unknown>>, names: ReadonlyArray<string>) =>
  Object.fromEntries(Object.entries(values).filter(([key]) => names.includes(key)))

const pickTexts = (values: Readonly<Record<string, unknown>>, names: ReadonlyArray<string>) =>
  Object.fromEntries(
    Object.entries(values).flatMap(([key, value]) =>
      names.includes(key) && typeof value === "string" ? [[key, value] as const] : []
    )
  )
