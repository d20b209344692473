/** The platform as the command line sees it: an HTTP API with a key, like for any other program. */
import { join } from "node:path"
import { LogLineView } from "@deploy-mcp/domain/commands/Views"
import { CommandError, Failure, refuse } from "@deploy-mcp/domain/Failure"
import {
  Config,
  Context,
  Effect,
  FileSystem,
  Layer,
  Option,
  Redacted,
  Schema,
  Stream
} from "effect"
import {
  HttpClient,
  type HttpClientError,
  HttpClientRequest,
  type HttpClientResponse
} from "effect/http"
import { settings } from "../Config.ts"
import type { Call } from "./Calls.ts"

type Arguments = Readonly<Record<string, Schema.Json | undefined>>

export interface Address {
  /** Folder of the platform's state, for its key. */
  readonly home: string
  readonly port: number
}

export interface AgentsMessage {
  /** One message of the protocol; null ends the session that the headers name. */
  readonly body: string | null
  readonly headers: Readonly<Record<string, string>>
  /** Which tools, comma-separated; undefined for the default. */
  readonly toolsets: string | undefined
}

export class Client extends Context.Service<
  Client,
  {
    readonly address: Address
    /** Fails with the platform's own catalogue entry, or with `unavailable` when none answers. */
    readonly call: <A>(call: Call<A>, input: Arguments) => Effect.Effect<A, CommandError>
    /** The last `tail` lines of a service and then each new one. */
    readonly follow: (input: {
      readonly name: string
      readonly project: string | undefined
      readonly tail: number
      readonly contains: string | undefined
      readonly since: string | undefined
    }) => Stream.Stream<LogLineView, CommandError>
    /** One message to the agents' door; the answer's body comes as it is made. */
    readonly toAgentsDoor: (
      message: AgentsMessage
    ) => Effect.Effect<HttpClientResponse.HttpClientResponse, CommandError>
    /** Whether a platform answers there. */
    readonly isUp: Effect.Effect<boolean>
    /** Whether it can do everything already. */
    readonly isReady: Effect.Effect<boolean>
  }
>()("@deploy-mcp/runtime/cli/Client") {}

/** The platform that the environment names. */
export const layer = Layer.effect(
  Client,
  Effect.gen(function* () {
    const { home, port } = yield* settings
    const key = yield* Config.option(Config.Redacted("DEPLOY_MCP_KEY"))
    return yield* make({ home, port }, Option.getOrUndefined(key))
  })
)

/** Without a key, the home's owner key is read when it is needed first. */
export const make = Effect.fn("Client.make")(function* (
  address: Address,
  givenKey?: Redacted.Redacted
) {
  const http = yield* HttpClient.HttpClient
  const files = yield* FileSystem.FileSystem
  const base = `http://127.0.0.1:${address.port}`
  const key = yield* Effect.cached(
    givenKey === undefined ? readKey(address.home, files) : Effect.succeed(givenKey)
  )

  const probe = (path: string) =>
    http
      .get(`${base}${path}`)
      .pipe(
        Effect.timeout("2 seconds"),
        Effect.match({ onSuccess: ({ status }) => status === 200, onFailure: () => false })
      )

  const isUp = probe("/livez")

  const send = (request: HttpClientRequest.HttpClientRequest) =>
    key.pipe(
      // Where nothing runs there is no key either; the first of the two is what to mend.
      Effect.tapError(() => Effect.flatMap(isUp, (up) => (up ? Effect.void : notRunning(base)))),
      Effect.flatMap((secret) =>
        http
          .execute(HttpClientRequest.bearerToken(request, secret))
          .pipe(Effect.mapError((error) => unanswered(base, error)))
      )
    )

  return Client.of({
    address,
    isUp,
    isReady: probe("/readyz"),
    toAgentsDoor: ({ body, headers, toolsets }) =>
      (body === null
        ? HttpClientRequest.delete(`${base}/mcp`)
        : HttpClientRequest.post(`${base}/mcp`).pipe(
            HttpClientRequest.bodyText(body, "application/json")
          )
      ).pipe(
        HttpClientRequest.setUrlParams(toolsets === undefined ? {} : { toolsets }),
        HttpClientRequest.setHeaders({
          ...headers,
          accept: "application/json, text/event-stream"
        }),
        send
      ),
    call: (call, input) =>
      HttpClientRequest.post(`${base}/api/v1/${call.tool}`).pipe(
        HttpClientRequest.bodyJsonUnsafe(input),
        send,
        Effect.flatMap((response) =>
          readAnswer(base, response, Schema.Struct({ result: call.answer }))
        ),
        Effect.map(({ result }) => result)
      ),
    follow: ({ name, ...query }) =>
      HttpClientRequest.get(`${base}/api/v1/services/${encodeURIComponent(name)}/logs`).pipe(
        HttpClientRequest.setUrlParams({ ...query, follow: true }),
        send,
        Effect.flatMap((response) =>
          response.status === 200
            ? Effect.succeed(response)
            : Effect.andThen(
                readAnswer(base, response, Schema.Unknown),
                Effect.fail(stranger(base))
              )
        ),
        Effect.map((response) => readLines(base, response)),
        Stream.unwrap
      )
  })
})

const readKey = (home: string, files: FileSystem.FileSystem) => {
  const file = join(home, "owner-key")
  return files.readFileString(file).pipe(
    Effect.map((text) => Redacted.make(text.trim())),
    Effect.mapError(() =>
      refuse("unauthorized", `There is no key in DEPLOY_MCP_KEY nor in ${file}.`, {
        next: "Start a platform with 'deploy-mcp up', which writes that file, or set DEPLOY_MCP_HOME to the folder of the running one, or DEPLOY_MCP_KEY to one of its keys."
      })
    )
  )
}

const unanswered = (base: string, error: HttpClientError.HttpClientError) =>
  error.reason._tag === "TransportError" ? notRunning(base) : stranger(base)

const notRunning = (base: string) =>
  refuse("unavailable", `No platform answers on ${base}.`, {
    next: "Start it with 'deploy-mcp up' (in the checkout: npm start), or set DEPLOY_MCP_PORT to the port of the running one."
  })

const stranger = (base: string) =>
  refuse(
    "unavailable",
    `What answers on ${base} does not speak as this version of Deploy MCP does.`,
    {
      next: "Set DEPLOY_MCP_PORT to the platform's port, and use the command line of the same version."
    }
  )

const readAnswer = <A>(
  base: string,
  response: HttpClientResponse.HttpClientResponse,
  result: Schema.Codec<A, unknown>
): Effect.Effect<A, CommandError> =>
  response.json.pipe(
    Effect.flatMap(Schema.decodeUnknownEffect(Schema.Union([Refusal, result]))),
    Effect.mapError(() => stranger(base)),
    Effect.flatMap((answer) =>
      isRefusal(answer)
        ? Effect.fail(new CommandError({ failure: answer.error }))
        : Effect.succeed(answer)
    )
  )

const Refusal = Schema.Struct({ error: Failure })
const isRefusal = Schema.is(Refusal)

const readLines = (base: string, response: HttpClientResponse.HttpClientResponse) =>
  response.stream.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.filter((line) => line !== ""),
    Stream.mapEffect((line) => decodeLine(line)),
    Stream.mapError(() => stranger(base)),
    Stream.mapEffect((line) =>
      isRefusal(line)
        ? Effect.fail(new CommandError({ failure: line.error }))
        : Effect.succeed(line)
    )
  )

const decodeLine = Schema.decodeUnknownEffect(
  Schema.fromJsonString(Schema.Union([Refusal, LogLineView]))
)
