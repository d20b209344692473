/**
 * MCP over stdin and stdout, carried to the agents' door of the running platform message by message.
 * Revisions up to 2025-11-25 get a session there, and a new one when the platform forgot it; later
 * ones say all in each message. A call is given up by hanging up, which both understand. The platform
 * says nothing unasked, so no stream for news is held open.
 */
import { CommandError, Failure, refuse } from "@deploy-mcp/domain/Failure"
import { Console, Effect, FiberMap, Option, Schema, Semaphore, Stdio, Stream } from "effect"
import * as Sse from "effect/encoding/Sse"
import type { HttpClientResponse } from "effect/http"

/** Fails only when nothing answers. A body of null ends the session that the headers name. */
type Send = (
  body: string | null,
  headers: Readonly<Record<string, string>>
) => Effect.Effect<HttpClientResponse.HttpClientResponse, CommandError>

interface Session {
  readonly id: string
  /** The revision that was agreed on. */
  readonly version: string
  /** What opened it, to open another. */
  readonly opening: string
}

/** Runs until stdin ends; calls that still run then are given up. Needs a scope for them. */
export const bridge = Effect.fn("bridge")(function* (send: Send) {
  const stdio = yield* Stdio.Stdio
  const calls = yield* FiberMap.make<string | number>()
  const opening = yield* Semaphore.make(1)
  let session: Session | undefined

  const open = Effect.fnUntraced(function* (line: string) {
    const response = yield* send(line, {})
    const id = response.headers["mcp-session-id"]
    const answers: Array<string> = []
    yield* Stream.runForEach(messagesOf(response), (text) => {
      const version = agreed(text)
      if (id !== undefined && Option.isSome(version)) {
        session = { id, version: version.value.result.protocolVersion, opening: line }
      }
      answers.push(text)
      return Effect.void
    })
    return answers
  })

  const reopen = (lost: Session) =>
    Effect.gen(function* () {
      if (session !== lost) return
      yield* open(lost.opening)
      yield* send(initialized, legacyHeaders(session))
      yield* Console.error("deploy-mcp: the platform forgot the session; opened a new one")
    }).pipe(opening.withPermit)

  const forward = Effect.fnUntraced(function* (line: string, { method, params }: Message) {
    if (method === "initialize") {
      return yield* Effect.forEach(yield* open(line), (text) => Console.log(text))
    }
    const version = params?._meta?.[versionKey]
    if (version !== undefined) {
      return yield* print(yield* send(line, modernHeaders(version, method, params)))
    }
    const used = session
    const response = yield* send(line, legacyHeaders(used))
    if (response.status !== 404 || used === undefined) return yield* print(response)
    yield* reopen(used)
    return yield* print(yield* send(line, legacyHeaders(session)))
  })

  yield* Effect.addFinalizer(() =>
    session === undefined
      ? Effect.void
      : Effect.ignore(Effect.timeout(send(null, legacyHeaders(session)), "1 second"))
  )

  yield* stdio.stdin.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.filter((line) => line.trim() !== ""),
    Stream.runForEach(
      Effect.fnUntraced(function* (line) {
        const message = Option.getOrElse(parse(line), (): Message => ({}))
        const given = message.params?.requestId
        if (message.method === "notifications/cancelled" && given !== undefined) {
          return yield* FiberMap.remove(calls, given)
        }
        const { id, method } = message
        const task = forward(line, message).pipe(
          Effect.catchDefect((defect) =>
            Effect.andThen(Effect.logError("A message was lost.", defect), Effect.fail(lost))
          ),
          Effect.catchTag("CommandError", ({ failure }) =>
            refused(method === undefined ? undefined : id, failure)
          )
        )
        // Requests run side by side; all else keeps its order.
        if (id === undefined || method === undefined || method === "initialize") yield* task
        else yield* FiberMap.run(calls, id, task)
      })
    )
  )
})

const versionKey = "io.modelcontextprotocol/protocolVersion"
const initialized = JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" })

/** The little that the bridge looks at; the rest passes as it is. */
const Id = Schema.Union([Schema.String, Schema.Number])
const Params = Schema.Struct({
  requestId: Schema.optionalKey(Id),
  name: Schema.optionalKey(Schema.String),
  uri: Schema.optionalKey(Schema.String),
  _meta: Schema.optionalKey(Schema.Struct({ [versionKey]: Schema.optionalKey(Schema.String) }))
})
const Message = Schema.Struct({
  id: Schema.optionalKey(Id),
  method: Schema.optionalKey(Schema.String),
  params: Schema.optionalKey(Params)
})
type Message = typeof Message.Type

const parse = Schema.decodeUnknownOption(Schema.fromJsonString(Message))
const agreed = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({ result: Schema.Struct({ protocolVersion: Schema.String }) })
  )
)

const legacyHeaders = (session: Session | undefined) =>
  session === undefined
    ? {}
    : { "mcp-session-id": session.id, "mcp-protocol-version": session.version }

const modernHeaders = (
  version: string,
  method: string | undefined,
  params: typeof Params.Type | undefined
) => {
  const name = params?.name ?? params?.uri
  return {
    "mcp-protocol-version": headerValue(version),
    ...(method === undefined ? {} : { "mcp-method": headerValue(method) }),
    ...(name === undefined ? {} : { "mcp-name": headerValue(name) })
  }
}

/** The protocol's form for text that a header cannot carry. */
const headerValue = (text: string) =>
  /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/u.test(text) && !text.startsWith("=?base64?")
    ? text
    : `=?base64?${Buffer.from(text).toString("base64")}?=`

const print = (response: HttpClientResponse.HttpClientResponse) =>
  Stream.runForEach(messagesOf(response), (text) => Console.log(text))

/** Each message of an answer, as one line. Fails with what the platform refused the request for. */
const messagesOf = (
  response: HttpClientResponse.HttpClientResponse
): Stream.Stream<string, CommandError> =>
  response.headers["content-type"]?.startsWith("text/event-stream")
    ? response.stream.pipe(
        Stream.decodeText(),
        Stream.pipeThroughChannel(Sse.decode()),
        Stream.map(({ data }) => data),
        Stream.filter((data) => data !== ""),
        Stream.mapError(brokenOff)
      )
    : Stream.fromEffect(response.text).pipe(
        Stream.mapError(brokenOff),
        Stream.filter((text) => text !== ""),
        Stream.mapEffect((text) => {
          const refusal = asRefusal(text)
          return Option.isSome(refusal)
            ? Effect.fail(new CommandError({ failure: refusal.value.error }))
            : Effect.succeed(text.replaceAll("\n", " "))
        })
      )

const asRefusal = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ error: Failure }))
)

const lost = refuse("internal", "The message could not be passed to the platform.")

const brokenOff = () =>
  refuse("unavailable", "The platform stopped answering in the middle of a message.", {
    next: "See whether it still runs ('deploy-mcp doctor'), and call again."
  })

/** Where a message wants an answer it gets the catalogue's words, else people read them. */
const refused = (id: string | number | undefined, failure: Failure) => {
  const message = `${failure.cause} ${failure.next}`
  return id === undefined
    ? Console.error(`deploy-mcp: ${message}`)
    : Console.log(
        JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32_000, message, data: failure } })
      )
}
