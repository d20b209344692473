import { assert, describe, it } from "vitest"
import { makeSessions } from "./Sessions.ts"

const sessions = () => {
  const closed: Array<string> = []
  const made = makeSessions<string>((name) => closed.push(name), { perKey: 2, idleMillis: 100 })
  return {
    ...made,
    closed,
    open: (id: string, key: string, now: number) => made.add({ id, key, transport: id }, now)
  }
}

describe("sessions", () => {
  it("belong to the key that opened them", () => {
    const { open, find } = sessions()
    open("a", "mine", 0)
    assert.strictEqual(find("a", "mine", 1)?.transport, "a")
    assert.isUndefined(find("a", "yours", 1))
    assert.isUndefined(find("b", "mine", 1))
  })

  it("of one key are limited; the one that is idle longest gives way", () => {
    const { open, find, closed } = sessions()
    open("a", "mine", 0)
    open("b", "mine", 1)
    open("other", "yours", 1)
    find("a", "mine", 2)
    open("c", "mine", 3)
    assert.deepStrictEqual(closed, ["b"])
    assert.isDefined(find("a", "mine", 4))
    assert.isDefined(find("other", "yours", 4))
  })

  it("are not found when idle, even before anyone looked for idle ones", () => {
    const { open, find, closed } = sessions()
    open("a", "mine", 0)
    assert.isDefined(find("a", "mine", 99))
    assert.isUndefined(find("a", "mine", 199))
    assert.deepStrictEqual(closed, ["a"])
  })

  it("end when idle, and all at once at the end", () => {
    const { open, find, endIdle, endAll, closed, size } = sessions()
    open("a", "mine", 0)
    open("b", "mine", 0)
    find("b", "mine", 50)
    endIdle(120)
    assert.deepStrictEqual(closed, ["a"])
    endAll()
    assert.deepStrictEqual(closed, ["a", "b"])
    assert.strictEqual(size(), 0)
  })
})
