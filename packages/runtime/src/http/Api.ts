/**
 * The same tools for programs: `POST /api/v1/<tool>` with the arguments as JSON and the same key answers
 * `{result}` or `{error}`; `GET /api/v1/services/<name>/logs` streams lines as NDJSON.
 */
import { Services } from "@deploy-mcp/domain/commands/Services"
import { CommandError, refuse } from "@deploy-mcp/domain/Failure"
import type { LogLine } from "@deploy-mcp/domain/model/LogLine"
import { Principal, requireScope } from "@deploy-mcp/domain/model/Principal"
import { decodeArguments } from "@deploy-mcp/mcp/Arguments"
import { authenticate } from "@deploy-mcp/mcp/Auth"
import { allTools, findTool } from "@deploy-mcp/mcp/Catalog"
import { loopbackHosts, refusedHost } from "@deploy-mcp/mcp/Hosts"
import { nearest } from "@deploy-mcp/mcp/Nearest"
import { Progress, silent } from "@deploy-mcp/mcp/Progress"
import { refusalHeaders, statusOf } from "@deploy-mcp/mcp/Refusal"
import { type Commands, callTool, maskDefect, type Toolset } from "@deploy-mcp/mcp/Tool"
import * as Fields from "@deploy-mcp/mcp/tools/Fields"
import { lineView } from "@deploy-mcp/mcp/tools/Logs"
import * as Search from "@deploy-mcp/mcp/tools/Search"
import { ByteSize, Cause, Effect, Option, Schema, Stream } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"

export interface ApiOptions {
  /** Host names, besides the loopback ones, that requests may name in Host and Origin. */
  readonly allowedHosts?: ReadonlyArray<string>
}

const toolsets: ReadonlyArray<Toolset> = ["deploy", "keys"]
const maxBodyBytes = 4 * 1024 * 1024

export const layer = (options: ApiOptions = {}) =>
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const context = yield* Effect.context<Commands>()
      const add = <R>(method: "GET" | "*", path: `/${string}`, answer: Answer<R>) =>
        router.add(method, path, Effect.provideContext(guarded(options, answer), context))
      yield* add("GET", "/api/v1/services/:name/logs", streamLogs)
      yield* add("*", "/api/v1/:tool", answerCall)
    })
  )

type Answer<R> = Effect.Effect<HttpServerResponse.HttpServerResponse, CommandError, R>

/** Host, key and errors are treated alike on every route. */
export const guarded = <R>(options: ApiOptions, answer: Answer<R>) =>
  Effect.gen(function* () {
    const allowed = new Set([...loopbackHosts, ...(options.allowedHosts ?? [])])
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    const refused = refusedHost({ host: headers.host, origin: headers.origin }, allowed)
    if (refused !== null) return yield* new CommandError({ failure: refused })
    const principal = yield* authenticate(headers.authorization)
    return yield* Effect.provideService(answer, Principal, principal)
  }).pipe(
    Effect.catchDefect((defect) => maskDefect("/api/v1", Cause.die(defect))),
    Effect.catchTag("CommandError", ({ failure }) =>
      Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) =>
        HttpServerResponse.jsonUnsafe(
          { error: failure },
          {
            status: statusOf(failure.code),
            headers: refusalHeaders(failure, headers.authorization)
          }
        )
      )
    )
  )

const answerCall = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  const { tool: name = "" } = yield* HttpRouter.params
  const tool = findTool(name, toolsets)
  if (tool === undefined) {
    const near = nearest(
      name,
      allTools.map((each) => each.name)
    )
    return yield* refuse("not_found", "There is no such call.", {
      next: near.length > 0 ? `Use ${near.join(" or ")}.` : "TOOLS.md lists all calls."
    })
  }
  if (request.method !== "POST") {
    return yield* refuse("invalid_argument", `${name} is called with POST.`, {
      next: `Send POST /api/v1/${name} with the arguments as JSON.`
    })
  }
  const result = yield* callTool(tool, yield* readArguments(request)).pipe(
    Effect.provideService(Progress, silent)
  )
  return HttpServerResponse.jsonUnsafe({ result })
})

/** The body, as JSON; an empty one has no arguments. */
export const readArguments = (request: HttpServerRequest.HttpServerRequest) =>
  request.text.pipe(
    Effect.provideService(HttpServerRequest.MaxBodySize, ByteSize.fromInputUnsafe(maxBodyBytes)),
    Effect.mapError(({ reason }) =>
      reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge"
        ? refuse("request_too_large", `The request body is longer than ${maxBodyBytes} bytes.`)
        : refuse("invalid_argument", "The request body could not be read.")
    ),
    Effect.flatMap((text) =>
      Option.match(text.trim() === "" ? Option.some({}) : parseJson(text), {
        onNone: () =>
          Effect.fail(refuse("invalid_argument", "The request body is not valid JSON.")),
        onSome: Effect.succeed<unknown>
      })
    )
  )

const parseJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))

const decodeQuery = decodeArguments(
  Schema.Struct({
    name: Fields.name,
    project: Fields.project,
    contains: Search.contains,
    since: Search.since,
    tail: Schema.optionalKey(Fields.count(0, 10_000)),
    follow: Schema.optionalKey(Schema.Boolean)
  })
)

const streamLogs = Effect.gen(function* () {
  yield* requireScope("services:read")
  const request = yield* HttpServerRequest.HttpServerRequest
  const { name } = yield* HttpRouter.params
  const query = new URL(request.url, "http://localhost").searchParams
  const given = Object.fromEntries(
    [...query].map(([key, text]) => [key, typed.has(key) ? plain(text) : text])
  )
  const {
    tail = 100,
    follow = false,
    contains,
    since,
    ...service
  } = yield* decodeQuery({ ...given, name })
  const wanted = { ...service, ...(yield* Search.searchOf({ contains, since })) }
  const services = yield* Services
  // Asked first, so that a wrong name is a status and not a line.
  const page = yield* services.logs({ ...wanted, source: "runtime", tail: Math.max(tail, 1) })
  const principal = yield* Principal
  const lines = follow
    ? services.follow({ ...wanted, tail }).pipe(Stream.provideService(Principal, principal))
    : Stream.fromIterable(page.lines.slice(page.lines.length - tail))
  return HttpServerResponse.stream(
    lines.pipe(
      Stream.map(ndjson),
      Stream.catchTag("CommandError", ({ failure }) =>
        Stream.succeed(`${JSON.stringify({ error: failure })}\n`)
      ),
      Stream.encodeText,
      // Nothing to read yet, but the headers go out now.
      (bytes) => Stream.concat(Stream.succeed(new Uint8Array()), bytes)
    ),
    { contentType: "application/x-ndjson", headers: { "cache-control": "no-store" } }
  )
})

/** Query values are text; the numbers and booleans among them are meant as such. */
const typed = new Set(["tail", "follow"])

const plain = (text: string): string | number | boolean =>
  text === "true" || text === "false"
    ? text === "true"
    : /^\d{1,9}$/u.test(text)
      ? Number(text)
      : text

const ndjson = (line: LogLine) => `${JSON.stringify({ seq: line.seq, ...lineView(line) })}\n`
