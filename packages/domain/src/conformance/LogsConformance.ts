/**
 * What "implements Logs" means. A provider's test needs one call:
 *
 *     LogsConformance.suite("mine", layer, { world, maxBytes: 100_000 })
 */
import { assert, layer as withLayer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { isFullLine, type LogEntry, LogName, type LogPage, type LogReading, Logs } from "../Logs.ts"
import { type LogLine, maxLineLength } from "../model/LogLine.ts"
import * as Laws from "./Laws.ts"

export interface LogsWorld<W> {
  /** What outlives an instance of the provider: a server, a folder. Made once for the suite. */
  readonly world: Layer.Layer<W, unknown>
  /** A log of so many bytes of text is full, and far more than this is never kept. */
  readonly maxBytes: number
  /** The provider with a place to write to that does not work, and what it must never tell. */
  readonly broken?: { readonly layer: Layer.Layer<Logs, unknown, W>; readonly secrets: string[] }
}

/** What programs print: nothing, other scripts, quotes, control characters, what looks like JSON. */
const texts = [
  "",
  "ümlaut 🚀 日本",
  `"quoted" \\ back`,
  "tab\t\u001b[31mred\u001b[0m\u0000",
  '{"seq":1}'
]

export const suite = <W>(
  name: string,
  provider: Layer.Layer<Logs, unknown, W>,
  { world, maxBytes, broken }: LogsWorld<W>
): void => {
  const through =
    (layer: Layer.Layer<Logs, unknown, W>): Laws.Instance<Logs, W> =>
    (use) =>
      Effect.provide(use, Layer.fresh(layer), { local: true })
  const instance = through(provider)
  const logOf = (label: string) => LogName.make(`conformance/${label}`)
  const out = (text: string): LogEntry => ({ stream: "stdout", text })
  const append = (log: LogName, ...entries: ReadonlyArray<LogEntry>) =>
    Logs.use((logs) => logs.append(log, entries))
  const page = (log: LogName, reading: Partial<LogReading> = {}) =>
    Logs.use((logs) => logs.read({ after: null, tail: 1_000_000, ...reading, log }))
  const read = (log: LogName, reading: Partial<LogReading> = {}) =>
    Effect.map(page(log, reading), ({ lines }) => lines)
  const textsOf = (lines: ReadonlyArray<LogLine>) => lines.map(({ text }) => text)
  const remove = (log: LogName) => Logs.use((logs) => logs.remove(log))
  const numbered = (count: number, from = 1) =>
    Array.from({ length: count }, (_, index) => out(`line ${index + from}`))
  /** The first `count` lines that a follower hears; `hears` runs with each. */
  const follow = (
    log: LogName,
    count: number,
    reading: Partial<LogReading> = {},
    hears: (line: LogLine) => Effect.Effect<unknown> = () => Effect.void
  ) =>
    Stream.unwrap(
      Logs.useSync((logs) => logs.follow({ after: null, tail: 1_000_000, ...reading, log }))
    ).pipe(Stream.tap(hears), Stream.take(count), Stream.runCollect)

  withLayer(world, { excludeTestServices: true })(`${name} is a Logs`, (it) => {
    it.effect("gives back what was written, in its order, with positions from one on", () => {
      const log = logOf("order")
      return Effect.gen(function* () {
        const written = yield* instance(append(log, ...texts.map(out)))
        const more: LogEntry = { stream: "stderr", text: "more", process: "worker" }
        const last = yield* instance(append(log, more))
        const lines = yield* instance(read(log))
        assert.deepEqual(lines, [...written, ...last])
        assert.deepEqual(textsOf(lines), [...texts, "more"])
        assert.deepEqual(
          lines.map(({ seq }) => seq),
          [1, 2, 3, 4, 5, 6]
        )
        const { stream, process } = lines.at(-1) ?? {}
        assert.deepEqual([stream, process], ["stderr", "worker"])
      })
    })

    it.effect("keeps a line a line, and cuts one that is too long", () => {
      const log = logOf("long")
      return instance(
        Effect.gen(function* () {
          yield* append(log, out("two\nlines"), out("x".repeat(maxLineLength + 1)), out("next"))
          const [first, long, next] = yield* read(log)
          assert.strictEqual(first?.text, "two\nlines")
          assert.strictEqual(long?.text, `${"x".repeat(maxLineLength - 1)}…`)
          assert.deepEqual([next?.seq, next?.text], [3, "next"])
        })
      )
    })

    it.effect("reads the newest, and page after page", () => {
      const log = logOf("pages")
      return Effect.gen(function* () {
        yield* instance(append(log, ...numbered(25)))
        const newest = yield* instance(page(log, { tail: 2 }))
        assert.deepEqual(textsOf(newest.lines), ["line 24", "line 25"])
        assert.deepEqual([newest.last, newest.truncated], [25, true])
        const seen: Array<string> = []
        let after: number | null = 0
        for (let pages = 1; pages <= 3; pages++) {
          const next: LogPage = yield* instance(page(log, { after, tail: 10 }))
          seen.push(...textsOf(next.lines))
          assert.strictEqual(next.truncated, pages < 3)
          after = next.last
        }
        assert.deepEqual(
          seen,
          numbered(25).map(({ text }) => text)
        )
        const none = yield* instance(page(log, { after, tail: 10 }))
        assert.deepEqual(none, { lines: [], last: 25, truncated: false })
        assert.deepEqual(yield* instance(read(log, { tail: 0 })), [])
      })
    })

    it.effect("finds lines by their text in any case, and counts only these", () => {
      const log = logOf("search")
      return instance(
        Effect.gen(function* () {
          yield* append(log, out("an Error"), out("fine"), out("another ERROR: (.*)"), out("error"))
          const found = yield* page(log, { contains: "error", tail: 2 })
          assert.deepEqual(textsOf(found.lines), ["another ERROR: (.*)", "error"])
          assert.isTrue(found.truncated)
          assert.deepEqual(textsOf(yield* read(log, { contains: "(.*)" })), ["another ERROR: (.*)"])
          assert.deepEqual(yield* read(log, { contains: "absent" }), [])
        })
      )
    })

    it.effect("finds lines from a time on", () => {
      const log = logOf("since")
      return instance(
        Effect.gen(function* () {
          yield* TestClock.setTime(1_700_000_000_000)
          yield* append(log, out("early"))
          yield* TestClock.adjust("1 second")
          yield* append(log, out("late"), out("later"))
          const lines = yield* read(log, { since: 1_700_000_001_000 })
          assert.deepEqual(textsOf(lines), ["late", "later"])
          assert.strictEqual(lines[0]?.at, 1_700_000_001_000)
        })
      ).pipe(Effect.provide(TestClock.layer()))
    })

    it.effect("loses and repeats nothing when many write at once", () => {
      const log = logOf("many")
      const writers = [1, 2, 3, 4]
      const lines = (writer: number) => Array.from({ length: 50 }, (_, n) => `${writer}: ${n}`)
      return Effect.gen(function* () {
        yield* instance(
          Effect.forEach(
            writers,
            (writer) =>
              Effect.forEach(lines(writer), (text) =>
                Effect.andThen(append(log, out(text)), Effect.yieldNow)
              ),
            { concurrency: "unbounded" }
          )
        )
        const found = yield* instance(read(log))
        assert.deepEqual(
          found.map(({ seq }) => seq),
          found.map((_, index) => index + 1)
        )
        for (const writer of writers) {
          const own = textsOf(found).filter((text) => text.startsWith(`${writer}:`))
          assert.deepEqual(own, lines(writer))
        }
      })
    })

    it.effect("says where lines are missing when a log is full, and goes on taking them", () => {
      const log = logOf("full")
      const line = out("x".repeat(1000))
      const count = Math.ceil((maxBytes * 3) / 1000)
      const fill = Effect.forEach(Array.from({ length: count }), () => append(log, line), {
        discard: true
      })
      return Effect.gen(function* () {
        yield* instance(fill)
        const kept = yield* instance(read(log))
        assert.isAtLeast(kept.length, 2)
        assert.isAtMost(textsOf(kept).join("").length, maxBytes + 1000)
        assert.deepEqual(
          kept.map(({ seq }) => seq),
          kept.map((_, index) => index + 1)
        )
        assert.lengthOf(kept.filter(isFullLine), 1, "one line says so")
        assert.isTrue(isFullLine(kept.at(-1)), "and it is the last one")
        assert.deepEqual(yield* instance(append(log, line)), [], "a full log takes no more")
        assert.deepEqual(yield* instance(read(log)), kept, "also for a new instance")
      })
    })

    it.effect("removes a log and no other, and begins again at one", () => {
      const [log, other] = [logOf("removed"), logOf("removed_not")]
      return Effect.gen(function* () {
        yield* instance(Effect.all([append(log, ...numbered(3)), append(other, out("stays"))]))
        const look = Effect.all([read(log), Effect.map(read(other), textsOf)])
        yield* Laws.converges({ instance, change: remove(log), look }, [[], ["stays"]])
        const [first] = yield* instance(append(log, out("new")))
        assert.strictEqual(first?.seq, 1)
      })
    })

    it.effect("lists a log for as long as it is kept", () => {
      const log = logOf("listed")
      const lists = Logs.use(({ kept }) => kept).pipe(
        Effect.map((all) => all.filter(({ id }) => id === log).length)
      )
      return Effect.gen(function* () {
        assert.strictEqual(yield* instance(lists), 0)
        yield* instance(append(log, out("a line")))
        assert.strictEqual(yield* instance(lists), 1)
        yield* instance(remove(log))
        assert.strictEqual(yield* instance(lists), 0)
      })
    })

    it.effect("knows nothing of a log that never was, and removes it", () => {
      const log = logOf("never")
      return instance(
        Effect.gen(function* () {
          yield* Effect.andThen(remove(log), remove(log))
          assert.deepEqual(yield* page(log), { lines: [], last: null, truncated: false })
        })
      )
    })

    it.effect("tells a follower what is there and then each new line, each once", () => {
      const log = logOf("follow")
      return instance(
        Effect.gen(function* () {
          yield* append(log, ...numbered(5))
          const isHearing = yield* Deferred.make<void>()
          const hears = () => Deferred.succeed(isHearing, undefined)
          const all = yield* Effect.forkChild(follow(log, 1005, {}, hears))
          const some = yield* Effect.forkChild(follow(log, 3, { tail: 1, contains: "5" }))
          const after = yield* Effect.forkChild(follow(log, 4, { after: 3, tail: 0 }))
          // Some are written while the followers begin, some when they listen.
          for (let n = 6; n <= 505; n++) yield* append(log, out(`line ${n}`))
          yield* Deferred.await(isHearing)
          for (let n = 506; n <= 1005; n++) yield* append(log, out(`line ${n}`))
          assert.deepEqual(
            (yield* Fiber.join(all)).map(({ seq }) => seq),
            Array.from({ length: 1005 }, (_, index) => index + 1)
          )
          for (const line of yield* Fiber.join(some)) assert.include(line.text, "5")
          assert.deepEqual(
            (yield* Fiber.join(after)).map(({ seq }) => seq),
            [4, 5, 6, 7]
          )
        })
      )
    })

    it.effect("ends a follower when its log is removed", () => {
      const log = logOf("ended")
      return instance(
        Effect.gen(function* () {
          yield* append(log, out("only"))
          const isHearing = yield* Deferred.make<void>()
          const hears = () => Deferred.succeed(isHearing, undefined)
          const all = yield* Effect.forkChild(follow(log, 1000, {}, hears))
          yield* Deferred.await(isHearing)
          yield* remove(log)
          assert.deepEqual(textsOf(yield* Fiber.join(all)), ["only"])
        })
      )
    })

    it.effect("writes all of the lines that were given at once, or none", () => {
      const log = logOf("cut")
      return Effect.gen(function* () {
        for (const pause of [0, 1, 2, 4]) {
          yield* instance(
            Effect.gen(function* () {
              yield* remove(log)
              const fiber = yield* Effect.forkChild(append(log, ...numbered(50)))
              // Not a wait: the moment at which it is cut.
              yield* pause === 0 ? Effect.yieldNow : Effect.sleep(`${pause} millis`)
              yield* Fiber.interrupt(fiber)
            })
          )
          assert.include([0, 50], (yield* instance(read(log))).length, `cut after ${pause} ms`)
        }
      })
    })

    if (broken !== undefined) {
      it.effect("tells no secret when it fails", () => {
        const log = logOf("broken")
        const attempts = [
          append(log, ...broken.secrets.map(out)),
          read(log),
          follow(log, 1),
          remove(log)
        ]
        return Effect.forEach(attempts, (attempt) =>
          Laws.failsWithoutSecrets(through(broken.layer)(attempt), broken.secrets)
        )
      })
    }
  })
}
