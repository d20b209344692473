/** The parts of `package.json` that decide how a Node project is built and started. */
import { constants } from "node:fs"
import { open } from "node:fs/promises"
import { join } from "node:path"
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect, Result, Schema } from "effect"
import { errorCode, rejected, unavailable } from "../BuildFault.ts"

const Dependencies = Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown))

export const PackageJson = Schema.Struct({
  name: Schema.optionalKey(Schema.String),
  version: Schema.optionalKey(Schema.String),
  main: Schema.optionalKey(Schema.String),
  scripts: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  dependencies: Dependencies,
  devDependencies: Dependencies,
  optionalDependencies: Dependencies,
  engines: Dependencies,
  packageManager: Schema.optionalKey(Schema.String)
})
export type PackageJson = typeof PackageJson.Type

/** Null when there is none. */
export const readPackageJson = (directory: string): Effect.Effect<PackageJson | null, BuildError> =>
  readJson(directory, "package.json", 1024 * 1024).pipe(
    Effect.flatMap((json) => (json === null ? Effect.succeed(null) : decode(json)))
  )

const decode = (json: unknown) =>
  Schema.decodeUnknownEffect(PackageJson)(json).pipe(
    Effect.mapError((error) =>
      rejected("manifest_invalid", "package.json has a field of the wrong type.", {
        evidence: [error.message.split("\n").join(" ")]
      })
    )
  )

/** A JSON file of the tenant, or null when there is none; what is wrong with it is told by position. */
export const readJson = (
  directory: string,
  name: string,
  maxBytes: number
): Effect.Effect<unknown, BuildError> =>
  readText(directory, name, maxBytes).pipe(
    Effect.flatMap((text) => (text === null ? Effect.succeed(null) : parse(name, text)))
  )

const parse = (name: string, source: string): Effect.Effect<unknown, BuildError> => {
  const text = source.replace(/^\uFEFF/u, "")
  const parsed = Result.try({
    try: (): unknown => JSON.parse(text),
    catch: (cause) => (cause instanceof Error ? cause.message : String(cause))
  })
  if (Result.isFailure(parsed)) {
    const { line, column, excerpt } = locate(text, parsed.failure)
    return Effect.fail(
      rejected("manifest_invalid", `${name} is not valid JSON (line ${line}, column ${column}).`, {
        evidence: [`${name}:${line}:${column}: ${parsed.failure.split("\n")[0]}`, excerpt]
      })
    )
  }
  return typeof parsed.success === "object" && parsed.success !== null
    ? Effect.succeed(parsed.success)
    : Effect.fail(rejected("manifest_invalid", `${name} does not hold a JSON object.`))
}

/** V8 says `at position N`, except where the text ends too early. */
const locate = (text: string, message: string) => {
  const position = Number(/at position (\d+)/u.exec(message)?.[1] ?? text.length)
  const before = text.slice(0, position).split("\n")
  const line = before.length
  return {
    line,
    column: (before.at(-1)?.length ?? 0) + 1,
    excerpt: (text.split("\n")[line - 1] ?? "").trim().slice(0, 200)
  }
}

/** A file of the tenant as text, or null when there is none; a link counts as none. */
export const readText = (
  directory: string,
  name: string,
  maxBytes: number
): Effect.Effect<string | null, BuildError> =>
  Effect.tryPromise({
    try: () => readRegular(join(directory, name), maxBytes),
    catch: (cause) => unavailable(`Could not read ${name}: ${errorCode(cause)}.`)
  }).pipe(
    Effect.flatMap((text) =>
      text === "too large"
        ? Effect.fail(
            rejected("manifest_invalid", `${name} is larger than ${maxBytes / 1024 / 1024} MiB.`)
          )
        : Effect.succeed(text === null ? null : text.content)
    )
  )

const readRegular = async (path: string, maxBytes: number) => {
  // A named pipe would block the open for ever without O_NONBLOCK.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await open(path, flags).catch((cause: unknown) => {
    if (["ENOENT", "ELOOP", "ENOTDIR"].includes(errorCode(cause))) return null
    throw cause
  })
  if (file === null) return null
  try {
    const stat = await file.stat()
    if (!stat.isFile()) return null
    if (stat.size > maxBytes) return "too large" as const
    return { content: await file.readFile("utf8") }
  } finally {
    await file.close()
  }
}
