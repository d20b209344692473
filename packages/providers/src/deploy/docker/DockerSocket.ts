/** Questions to the engine over its unix socket, and what becomes of the answers. Not exported. */
import { type IncomingMessage, request } from "node:http"
import { Data, Effect, Schema, type Scope, Stream } from "effect"

/** For an answer to begin. An engine that pulls or stops a container answers late. */
const patience = "5 minutes"

export class DockerError extends Data.TaggedError("DockerError")<{
  /** Of HTTP; 0: no answer came. */
  readonly status: number
  readonly detail: string
}> {}

export type Call = (
  method: string,
  path: string,
  body?: object
) => Effect.Effect<IncomingMessage, DockerError, Scope.Scope>

/** Returns when the answer begins. The connection ends with the scope. */
export const call = (socketPath: string, method: string, path: string, body?: object) =>
  Effect.acquireRelease(
    Effect.callback<IncomingMessage, DockerError>((resume) => {
      const text = body === undefined ? "" : JSON.stringify(body)
      const headers = {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(text)
      }
      const question = request({ socketPath, method, path, headers, agent: false }, (answer) =>
        resume(Effect.succeed(answer))
      )
      question.on("error", (cause) => resume(Effect.fail(away(cause))))
      question.end(text)
      return Effect.sync(() => question.destroy())
    }).pipe(
      Effect.timeoutOrElse({
        duration: patience,
        orElse: () => Effect.fail(new DockerError({ status: 0, detail: "Docker is too slow." }))
      })
    ),
    (answer) => Effect.sync(() => answer.destroy()),
    { interruptible: true }
  ).pipe(Effect.tap((answer) => ((answer.statusCode ?? 0) < 400 ? Effect.void : refusal(answer))))

const away = (cause: unknown) =>
  new DockerError({
    status: 0,
    detail: `The Docker Engine does not answer: ${cause instanceof Error ? cause.message : cause}.`
  })

const Message = Schema.fromJsonString(Schema.Struct({ message: Schema.String }))

const refusal = (answer: IncomingMessage): Effect.Effect<never, DockerError> =>
  Effect.gen(function* () {
    const text = yield* textOf(answer)
    const { message } = yield* Schema.decodeUnknownEffect(Message)(text).pipe(
      Effect.orElseSucceed(() => ({ message: text.slice(0, 500) }))
    )
    return yield* new DockerError({ status: answer.statusCode ?? 0, detail: message })
  })

export const bytes = (answer: IncomingMessage): Stream.Stream<Uint8Array, DockerError> =>
  Stream.fromAsyncIterable<Uint8Array, DockerError>(answer, away)

const textOf = (answer: IncomingMessage) => Stream.mkString(Stream.decodeText(bytes(answer)))

export const done = (answer: Effect.Effect<IncomingMessage, DockerError, Scope.Scope>) =>
  Effect.scoped(Effect.asVoid(Effect.flatMap(answer, textOf)))

export const json = <A>(
  schema: Schema.Codec<A, unknown>,
  answer: Effect.Effect<IncomingMessage, DockerError, Scope.Scope>
) => Effect.scoped(Effect.flatMap(Effect.flatMap(answer, textOf), decode(schema)))

export const decode =
  <A>(schema: Schema.Codec<A, unknown>) =>
  (text: string) =>
    Schema.decodeUnknownEffect(Schema.fromJsonString(schema))(text).pipe(
      Effect.mapError(
        () => new DockerError({ status: 0, detail: "Docker answered in words that are not known." })
      )
    )

/** Null for what is not there. */
export const unlessMissing = <A>(answer: Effect.Effect<A, DockerError>) =>
  Effect.catchIf(
    answer,
    ({ status }) => status === 404,
    () => Effect.succeed(null)
  )
