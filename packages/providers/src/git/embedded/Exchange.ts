/**
 * One request of git's smart HTTP protocol, answered by the real git: by `git http-backend`, but for
 * the plainest first answers, and by `git receive-pack` itself for a plain push. Bytes stream both
 * ways. All of it lives in the caller's scope: a client that hangs up ends the scope, and with it
 * every process and the stream of progress.
 */
import { join } from "node:path"
import type { Readable } from "node:stream"
import type { GitExchange, GitReply, RefUpdate } from "@deploy-mcp/domain/Git"
import { type Duration, Effect, Fiber, type Scope, Stream } from "effect"
import { rejected, unavailable } from "../GitFault.ts"
import type { Advertise } from "./Advertisement.ts"
import * as Backend from "./Backend.ts"
import { always, type GitHost, readText } from "./GitHost.ts"
import { arrivedIn, arrivedLine, parseReport } from "./Hooks.ts"
import type { Receivers } from "./Receivers.ts"
import { head } from "./Refs.ts"
import type { Repacking } from "./Repack.ts"
import { bytesBelow, type Sizes } from "./Sizes.ts"

export interface ExchangeLimits {
  readonly maxPushBytes: number
  readonly timeLimit: Duration.Duration
}

interface Push {
  report: () => string
  /** Somebody has heard, or nothing has moved. */
  told: boolean
}

export interface Served {
  readonly host: GitHost
  readonly advertise: Advertise
  readonly receivers: Receivers
  readonly repacking: Repacking
  readonly sizes: Sizes
  readonly limits: ExchangeLimits
  /** Outlives the exchange: it is where a push is finished whose pusher went away. */
  readonly lasting: Scope.Scope
}

export const exchange = Effect.fn("Exchange.exchange")(function* (
  served: Served,
  request: GitExchange
) {
  const { advertise, host, lasting, limits, receivers } = served
  const repository = host.pathOf(request.repository)
  yield* admit(request, repository)
  const known = yield* advertise(request, repository)
  const receive = Backend.launch(
    "git",
    ["receive-pack", "--stateless-rpc", repository],
    host.environment(configuration(host, limits, true), {})
  )
  if (known !== null) {
    if (request.query === pushService) yield* receivers.expect(repository, receive)
    return known
  }
  const push: Push = { report: () => "", told: false }
  // Registered first, so that it runs last: when the processes are gone and the refs stand still.
  yield* Effect.addFinalizer(() =>
    tellWhatMoved(request, repository, push).pipe(Effect.forkIn(lasting))
  )
  const plainPush = isPlainPush(request)
  const launch = plainPush
    ? Effect.flatMap(receivers.take(repository), (ready) =>
        ready === null ? receive : Effect.succeed(ready)
      )
    : Backend.launch(host.backend, [], environment(host, limits, request))
  const backend = yield* Backend.inScope(launch)
  push.report = backend.reported
  yield* Effect.forkScoped(Effect.andThen(Effect.sleep(limits.timeLimit), backend.stop))
  const received = yield* Effect.forkScoped(handOn(request, backend, limits.maxPushBytes))
  yield* Effect.forkScoped(
    Effect.andThen(
      answerWhetherThereIsRoom(request, repository, served, backend),
      showProgress(request, backend, push)
    )
  )
  return plainPush ? pushReply(backend, received) : yield* reply(backend, received)
})

/** What `git http-backend` would hand on as it came; anything else is for it to judge or unpack. */
const isPlainPush = ({ contentEncoding, contentType, method, path }: GitExchange) =>
  method === "POST" &&
  path === "/git-receive-pack" &&
  contentType === "application/x-git-receive-pack-request" &&
  contentEncoding === undefined

const pushService = "service=git-receive-pack"
const paths = new Set(["/info/refs", "/git-upload-pack", "/git-receive-pack"])

const admit = Effect.fnUntraced(function* (request: GitExchange, repository: string) {
  if (!paths.has(request.path)) {
    return yield* rejected("not_found", "Only git's smart HTTP protocol is served here.")
  }
  if (request.access === "read" && request.path === "/git-receive-pack") {
    return yield* rejected("forbidden", "This credential can read the repository, not push to it.")
  }
  if ((yield* readText(`${repository}/HEAD`)) === null) {
    return yield* rejected("repository_missing", "This repository does not exist.")
  }
})

const configuration = (host: GitHost, limits: ExchangeLimits, writes: boolean) =>
  [
    ...always,
    ["core.hooksPath", host.hooks],
    ["http.getanyfile", "false"],
    ["http.uploadpack", "true"],
    ["http.receivepack", String(writes)],
    ["http.maxRequestBuffer", "10m"],
    ["transfer.fsckObjects", "true"],
    ["receive.fsckObjects", "true"],
    // Old tools wrote these harmless faults into histories that can't be rewritten.
    ["receive.fsck.badTimezone", "ignore"],
    ["receive.fsck.missingSpaceBeforeDate", "ignore"],
    ["receive.fsck.zeroPaddedFilemode", "ignore"],
    ["receive.maxInputSize", String(limits.maxPushBytes)],
    ["receive.denyDeletes", "false"],
    ["receive.denyDeleteCurrent", "ignore"],
    ["receive.denyNonFastForwards", "false"],
    ["receive.shallowUpdate", "false"],
    ["receive.autogc", "false"],
    // A push would be compared with its own repository twice: once as one that lends objects.
    ["core.alternateRefsCommand", "true"],
    ["receive.advertisePushOptions", "false"],
    ["transfer.hideRefs", "refs/internal"],
    ["uploadpack.allowFilter", "true"]
  ] as const

const environment = (host: GitHost, limits: ExchangeLimits, request: GitExchange) =>
  host.environment(configuration(host, limits, request.access === "write"), {
    GIT_PROJECT_ROOT: host.directory,
    GIT_HTTP_EXPORT_ALL: "1",
    PATH_INFO: `/${request.repository.id}.git${request.path}`,
    REQUEST_METHOD: request.method,
    QUERY_STRING: request.query,
    REMOTE_USER: "pusher",
    REMOTE_ADDR: "127.0.0.1",
    ...(request.contentType === undefined ? {} : { CONTENT_TYPE: request.contentType }),
    ...(request.contentEncoding === undefined
      ? {}
      : { HTTP_CONTENT_ENCODING: request.contentEncoding }),
    ...(request.protocol !== undefined && /^version=[0-2]$/.test(request.protocol)
      ? { GIT_PROTOCOL: request.protocol }
      : {})
  })

/**
 * Goes on reading after git has stopped to listen: a client that has sent everything sees git's
 * own reason, one that is cut off sees "connection reset". Twice the limit is where that ends.
 */
const handOn = (request: GitExchange, backend: Backend.Backend, maxPushBytes: number) => {
  let bytes = 0
  return request.body.pipe(
    Stream.runForEach((chunk) => {
      bytes += chunk.length
      return bytes > 2 * maxPushBytes
        ? Effect.fail(
            rejected("source_too_large", `A push can have at most ${maxPushBytes} bytes.`)
          )
        : Backend.write(backend.input, chunk)
    }),
    Effect.andThen(Backend.end(backend.input)),
    Effect.tapError(() => backend.stop)
  )
}

/** Refused, git removes what the push brought; nothing of it was in the repository yet. */
const answerWhetherThereIsRoom = Effect.fnUntraced(function* (
  { objection }: GitExchange,
  repository: string,
  { repacking, sizes }: Served,
  backend: Backend.Backend
) {
  yield* backend.awaitReport(arrivedLine)
  if (!arrivedLine.test(backend.reported())) return
  const folder = arrivedIn(backend.reported())
  const bytes = folder === null ? 0 : yield* bytesBelow(join(repository, "objects", folder))
  const why = bytes === 0 || objection === undefined ? null : yield* objection(bytes)
  if (why !== null) return yield* Backend.write(backend.answer, `${why.replace(control, "")}\n`)
  yield* sizes.grow(repository, bytes)
  const moving = Effect.andThen(
    Backend.write(backend.answer, "ok\n"),
    backend.awaitReport(allMoved)
  )
  yield* repacking.without(repository, moving)
})

/** Its objects are in place and its refs have moved. */
const allMoved = /(^|\n)end\n$/u

/** The refs have moved when the hook reports; the push ends when the hook has nothing to print. */
const showProgress = (request: GitExchange, backend: Backend.Backend, push: Push) =>
  Effect.gen(function* () {
    yield* backend.awaitReport(allMoved)
    const { ended, moved } = parseReport(backend.reported())
    if (!ended) return
    push.told = true
    if (moved.length === 0) return
    yield* progress(request, moved).pipe(
      Stream.runForEach((line) => Backend.write(backend.answer, `${line.replace(control, "")}\n`))
    )
  }).pipe(Effect.ensuring(Backend.end(backend.answer)))

/** Control characters could repaint the pusher's terminal. */
const control = /[^\P{Cc}\t\n]/gu

/** A push is done when the refs have moved, whatever becomes of its progress. */
const progress = (request: GitExchange, updates: ReadonlyArray<RefUpdate>) =>
  Stream.suspend(() => request.pushed(updates)).pipe(
    Stream.catchCause((cause) =>
      Stream.fromEffect(
        Effect.as(
          Effect.logError("The progress of a push cannot be shown", cause),
          "Your push is stored. What happens with it cannot be shown here."
        )
      )
    )
  )

/** When a push was cut off between the move of its refs and the hook, nobody has heard of it yet. */
const tellWhatMoved = Effect.fnUntraced(function* (
  request: GitExchange,
  repository: string,
  push: Push
) {
  const { wanted } = parseReport(push.report())
  if (push.told || wanted.length === 0) return
  const moved = yield* Effect.filter(wanted, ({ branch, to }) =>
    Effect.map(head(repository, branch), (commit) => commit === to)
  )
  if (moved.length > 0) yield* Stream.runDrain(progress(request, moved))
})

type Received = Fiber.Fiber<void, Effect.Error<ReturnType<typeof handOn>>>

/** Also when git says nothing: so it answers a client that only asks whether it may push. */
const pushReply = (backend: Backend.Backend, received: Received): GitReply => ({
  status: 200,
  headers: {
    "content-type": "application/x-git-receive-pack-result",
    "cache-control": "no-cache, max-age=0, must-revalidate"
  },
  body: rest(chunksOf(backend.output), received)
})

/** CGI: header lines, an empty line, the body. */
const reply = Effect.fnUntraced(function* (backend: Backend.Backend, received: Received) {
  const chunks = chunksOf(backend.output)
  const why = whyStopped(received)
  let start = Buffer.alloc(0)
  let split = -1
  while (split < 0) {
    const next = yield* Effect.tryPromise({ try: () => chunks.next(), catch: () => cutShort }).pipe(
      Effect.catch(() => why)
    )
    if (next.done || start.length > longestHead) return yield* why
    start = Buffer.concat([start, next.value])
    split = start.indexOf("\r\n\r\n")
  }
  const { status = "200", ...headers } = headersOf(start.subarray(0, split).toString("latin1"))
  const answer: GitReply = {
    status: Number.parseInt(status, 10),
    headers,
    body: Stream.make(start.subarray(split + 4)).pipe(
      Stream.filter((chunk) => chunk.length > 0),
      Stream.concat(rest(chunks, received))
    )
  }
  return answer
})

const rest = (chunks: AsyncIterator<Uint8Array>, received: Received) =>
  Stream.fromAsyncIterable({ [Symbol.asyncIterator]: () => chunks }, () => cutShort).pipe(
    Stream.catch(() => Stream.fromEffectDrain(whyStopped(received))),
    Stream.filter((chunk) => chunk.length > 0),
    Stream.concat(Stream.fromEffectDrain(Fiber.join(received)))
  )

/** When we stopped git ourselves, the reason is ours. */
const whyStopped = (received: Received) =>
  Effect.andThen(Fiber.join(received), Effect.fail(cutShort))

const cutShort = unavailable("git stopped before it had answered.")
const longestHead = 64 * 1024

const chunksOf = (output: Readable): AsyncIterator<Uint8Array> => output[Symbol.asyncIterator]()

const headersOf = (head: string): Record<string, string> =>
  Object.fromEntries(
    head.split("\r\n").flatMap((line) => {
      const colon = line.indexOf(":")
      return colon < 0
        ? []
        : [[line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const]
    })
  )
