/**
 * Settings as they are: names and defaults by asking a Config, what they mean from the comments beside
 * them in the source, which is the only place that says it.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { type Config, ConfigProvider, Duration, Effect, Option, Result, SchemaIssue } from "effect"
import { root } from "../e2e/Platform.ts"

export interface Setting {
  readonly name: string
  /** As somebody would write it; null: it is needed; empty: nothing. */
  readonly default: string | null
  readonly meaning: string
}

/** Those of a Config that is written in one of these files or folders, the first that has it. */
export const settingsOf = (
  config: Config.Config<unknown>,
  places: ReadonlyArray<string>
): ReadonlyArray<Setting> => {
  const { names, needed, values } = ask(config)
  const comments = places.map((place) => new Map(sourcesIn(place).flatMap(commented)))
  return [...names].map((name) => {
    const comment = comments.map((map) => map.get(name)).find((one) => one !== undefined)
    if (comment === undefined || comment.meaning === "") {
      throw new Error(`${places[0]}: a comment must say what the setting ${name} means`)
    }
    const value = needed.has(name) ? null : written(Reflect.get(values, comment.field))
    return { name, default: value, meaning: comment.meaning }
  })
}

/** What a Config asks for, what of it is needed, and what comes out where nothing else is given. */
const ask = (config: Config.Config<unknown>) => {
  const names = new Set<string>()
  const needed = new Set<string>()
  const provider = ConfigProvider.make(([name = ""]) =>
    Effect.sync(() => {
      names.add(String(name))
      return needed.has(String(name)) ? ConfigProvider.makeValue(standIn) : undefined
    })
  )
  for (;;) {
    const result = Effect.runSync(Effect.result(config.parse(provider)))
    if (Result.isSuccess(result)) return { names, needed, values: Object(result.success) }
    const { cause } = result.failure
    const [issue] = "issue" in cause ? format(cause.issue).issues : []
    const missing = String(issue?.path?.[0] ?? "")
    if (missing === "" || needed.has(missing)) throw result.failure
    needed.add(missing)
  }
}

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** Does for an address, a name and a secret alike. */
const standIn = "postgres://user:password@127.0.0.1:5432/database"

const sourcesIn = (place: string): ReadonlyArray<string> =>
  place.endsWith(".ts")
    ? [readFileSync(join(root, place), "utf8")]
    : readdirSync(join(root, place))
        .filter((file) => /^(?!.*\.test\.ts$).*\.ts$/u.test(file))
        .map((file) => readFileSync(join(root, place, file), "utf8"))

/** Of each field of `Config.all({ … })` the setting's name, and what the comment above it says. */
const commented = (source: string) => {
  const [, block = ""] = /\bConfig\.all\(\{\n([\s\S]*?)\n\}\)/u.exec(source) ?? []
  const fields =
    /^ {2}(?:\/\*\*([\s\S]*?)\*\/\s+)?(\w+):([\s\S]*?)(?=,?\n {2}(?:\w+:|\/\*\*)|$(?![\s\S]))/gmu
  return [...block.matchAll(fields)].map(([, comment = "", field = "", expression = ""]) => {
    // Values that are words may stand before the name: those of the platform are in capitals.
    const [, name = ""] = /"([A-Z]\w+)"/u.exec(expression) ?? /"(\w+)"/u.exec(expression) ?? []
    return [name, { field, meaning: comment.replaceAll(/\s*\n\s*\* ?/gu, " ").trim() }] as const
  })
}

const written = (value: unknown): string => {
  if (Option.isOption(value)) return Option.match(value, { onNone: () => "", onSome: written })
  if (Duration.isDuration(value)) return inWords(value)
  if (Array.isArray(value)) return value.join(",")
  return value === null || value === undefined ? "" : String(value)
}

/** As settings are read: `15 minutes`. */
const inWords = (duration: Duration.Duration): string =>
  Duration.toSeconds(duration) % 60 === 0
    ? `${Duration.toMinutes(duration)} minutes`
    : `${Duration.toSeconds(duration)} seconds`
