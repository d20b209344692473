/** The few calls of the Docker Engine's API that images need, over its socket. Not exported. */
import { request } from "node:http"
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect, Option, Schema } from "effect"
import { errorCode, unavailable } from "../BuildFault.ts"

const Labels = Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.String)))

const Image = Schema.Struct({
  /** `sha256:…`. */
  Id: Schema.String,
  /** Bytes, what it is built on included. */
  Size: Schema.Int,
  Config: Schema.Struct({ Labels })
})
export type Image = typeof Image.Type

const Listed = Schema.Struct({
  Id: Schema.String,
  /** Seconds since 1970. */
  Created: Schema.Int,
  RepoTags: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String))),
  Labels
})
const Version = Schema.Struct({ Version: Schema.String })

export interface DockerApi {
  /** `20.10.24`. */
  readonly version: Effect.Effect<string, BuildError>
  /** By its name or id; null when there is none. */
  readonly image: (name: string) => Effect.Effect<Image | null, BuildError>
  /** Images with this label that have no name. */
  readonly unnamed: (label: string) => Effect.Effect<ReadonlyArray<typeof Listed.Type>, BuildError>
  /** Images with this label, named or not. */
  readonly labelled: (label: string) => Effect.Effect<ReadonlyArray<typeof Listed.Type>, BuildError>
  readonly tag: (id: string, repository: string, tag: string) => Effect.Effect<void, BuildError>
  /** Takes the name away, and the image with it unless a running container uses it. */
  readonly removeNamed: (name: string) => Effect.Effect<void, BuildError>
  /** Unless a container uses it, also one that has ended. */
  readonly removeUnused: (id: string) => Effect.Effect<void, BuildError>
}

export const make = (socket: string): DockerApi => {
  const call = (method: string, path: string, accepted: ReadonlyArray<number>) =>
    ask(socket, method, path).pipe(
      Effect.flatMap((reply) =>
        accepted.includes(reply.status)
          ? Effect.succeed(reply)
          : Effect.fail(unavailable(`Docker answered ${reply.status} to ${method}.`))
      )
    )
  const image = (name: string) => `/images/${encodeURIComponent(name)}`
  // 404: there is none; 409: a container uses it.
  const erase = (path: string) => call("DELETE", path, [200, 404, 409]).pipe(Effect.asVoid)
  const list = (filters: Readonly<Record<string, ReadonlyArray<string>>>) =>
    call("GET", `/images/json?filters=${encodeURIComponent(JSON.stringify(filters))}`, [200]).pipe(
      Effect.flatMap(decoded(Schema.Array(Listed)))
    )
  return {
    version: call("GET", "/version", [200]).pipe(
      Effect.flatMap(decoded(Version)),
      Effect.map(({ Version }) => Version)
    ),
    image: (name) =>
      call("GET", `${image(name)}/json`, [200, 404]).pipe(
        Effect.flatMap((reply) =>
          reply.status === 404 ? Effect.succeed(null) : decoded(Image)(reply)
        )
      ),
    unnamed: (label) => list({ dangling: ["true"], label: [label] }),
    labelled: (label) => list({ label: [label] }),
    tag: (id, repository, tag) => {
      const name = new URLSearchParams({ repo: repository, tag })
      return call("POST", `${image(id)}/tag?${name}`, [201]).pipe(Effect.asVoid)
    },
    removeNamed: (name) => erase(`${image(name)}?force=true`),
    removeUnused: (id) => erase(image(id))
  }
}

interface Reply {
  readonly status: number
  readonly text: string
}

const decoded =
  <S extends Schema.ConstraintDecoder<unknown>>(schema: S) =>
  ({ text }: Reply): Effect.Effect<S["Type"], BuildError> =>
    Option.match(Schema.decodeUnknownOption(Schema.fromJsonString(schema))(text), {
      onNone: () => Effect.fail(unavailable("Docker answered what is not understood.")),
      onSome: Effect.succeed
    })

const ask = (socketPath: string, method: string, path: string): Effect.Effect<Reply, BuildError> =>
  Effect.callback<Reply, BuildError>((resume) => {
    const lost = (cause: unknown) =>
      resume(
        Effect.fail(unavailable(`Docker does not answer at ${socketPath}: ${errorCode(cause)}.`))
      )
    const question = request({ socketPath, method, path, agent: false, timeout }, (answer) => {
      let text = ""
      answer.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk
      })
      answer.once("end", () => resume(Effect.succeed({ status: answer.statusCode ?? 0, text })))
      answer.once("error", lost)
    })
    question.once("timeout", () => question.destroy(new SilentError()))
    question.on("error", lost).end()
    return Effect.sync(() => question.destroy())
  })

/** Milliseconds without a byte. An engine that is stopped in the middle keeps its socket open. */
const timeout = 60_000

class SilentError extends Error {
  readonly code = "ETIMEDOUT"
}
