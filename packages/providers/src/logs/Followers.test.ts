import { LogName, lineOf } from "@deploy-mcp/domain/Logs"
import { assert, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as Followers from "./Followers.ts"

it.effect("a line that is written while a follower reads what is there is told once", () =>
  Effect.gen(function* () {
    const log = LogName.make("tests/read")
    const followers = Followers.make()
    const lines = [1, 2, 3].map((seq) => lineOf({ stream: "stdout", text: `${seq}` }, seq, 0))
    const readAll = Effect.sync(() => {
      followers.tell(log, lines.slice(1))
      return lines.slice(0, 2)
    })
    const heard = yield* followers
      .follow({ log, after: null, tail: 10 }, readAll)
      .pipe(Stream.take(3), Stream.runCollect)
    assert.deepEqual(heard, lines)
  })
)
