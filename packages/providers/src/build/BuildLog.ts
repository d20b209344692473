/** Cuts a step's output into lines, passes them on as they come and remembers the last ones. */
import type { BuildRequest } from "@deploy-mcp/domain/Build"
import { type LogLine, maxLineLength } from "@deploy-mcp/domain/model/LogLine"
import { type Cause, Effect, Fiber, Queue, Redacted, type Scope, Stream } from "effect"

export interface BuildLog {
  /** Text as it arrives, not cut into lines. */
  readonly write: (stream: "stdout" | "stderr", text: string) => void
  /** A line of the platform's own. */
  readonly say: (text: string) => void
  /** The last lines, of those that match, as evidence: no secrets, no colours, oldest first. */
  readonly evidence: (matching?: RegExp) => ReadonlyArray<string>
  /** Everything since the last call, for finding out why a step failed. */
  readonly recent: () => string
  /** Passes on what is left; nothing may be written afterwards. */
  readonly close: Effect.Effect<void>
}

const evidenceLines = 20
const recentLines = 400

/** `limit` is how many characters in all are passed on; a marker takes the place of the rest. */
export const make = (
  request: BuildRequest,
  limit: number
): Effect.Effect<BuildLog, never, Scope.Scope> =>
  Effect.gen(function* () {
    const queue = yield* Queue.unbounded<readonly [LogLine["stream"], string], Cause.Done>()
    const pump = yield* Stream.fromQueue(queue).pipe(
      Stream.runForEach(([stream, text]) => request.log(stream, text)),
      Effect.forkScoped
    )
    const hide = redactor(Object.values(request.variables))
    const rest = { stdout: "", stderr: "" }
    const last: Array<string> = []
    let passed = 0

    const pass = (stream: LogLine["stream"], text: string) => {
      if (passed > limit) return
      passed += text.length + 1
      Queue.offerUnsafe(
        queue,
        passed > limit
          ? ["platform", `… output beyond ${limit} characters is left out`]
          : [stream, text]
      )
    }
    const emit = (stream: "stdout" | "stderr", line: string) => {
      const text = cut(line.replace(/\r$/u, ""))
      last.push(text)
      if (last.length > recentLines) last.shift()
      pass(stream, text)
    }
    const flush = () => {
      for (const stream of ["stdout", "stderr"] as const) {
        if (rest[stream] !== "") emit(stream, rest[stream])
        rest[stream] = ""
      }
    }
    return {
      write: (stream, text) => {
        const lines = (rest[stream] + text).split("\n")
        const open = lines.pop() ?? ""
        // A line without an end must not grow in memory: what is beyond the limit is dropped.
        rest[stream] = open.length > maxLineLength ? open.slice(0, maxLineLength + 1) : open
        for (const line of lines) emit(stream, line)
      },
      say: (text) => pass("platform", text),
      evidence: (matching = /\S/u) => {
        flush()
        return last
          .filter((line) => matching.test(line))
          .map((line) => hide(withoutColours(line)).trimEnd().slice(0, 500))
          .slice(-evidenceLines)
      },
      recent: () => {
        flush()
        return last.map(withoutColours).join("\n")
      },
      close: Effect.sync(() => {
        flush()
        Queue.endUnsafe(queue)
      }).pipe(Effect.andThen(Fiber.await(pump)), Effect.asVoid)
    }
  })

const cut = (line: string) =>
  line.length > maxLineLength ? `${line.slice(0, maxLineLength - 1)}…` : line

const withoutColours = (line: string) => line.replace(ansi, "")
const ansi = new RegExp(`${String.fromCharCode(27)}\\[[0-9;?]*[ -/]*[@-~]`, "gu")

/** Values shorter than this would tear holes into words and are no secrets. */
const shortest = 4

const redactor = (variables: ReadonlyArray<Redacted.Redacted>) => {
  const values = variables
    .flatMap((value) => [Redacted.value(value), ...Redacted.value(value).split(/\r?\n/u)])
    .map((value) => value.trim())
    .filter((value) => value.length >= shortest)
    .sort((a, b) => b.length - a.length)
  return (text: string) => values.reduce((line, value) => line.replaceAll(value, "••••"), text)
}
