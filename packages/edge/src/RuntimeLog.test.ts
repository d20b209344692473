import { appendFile, mkdtemp, readdir, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it, onTestFinished } from "vitest"
import { makeRuntimeLog } from "./RuntimeLog.ts"
import { idOf, is, processRelease, stageOf, startHarness } from "./testing/EdgeHarness.ts"

const stage = idOf<string>("stg", 1)
const setUp = async (bytes?: number) => {
  const folder = await mkdtemp(join(tmpdir(), "edge-log-"))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const open = () =>
    makeRuntimeLog({
      folder,
      log: () => {},
      linesPerSecond: Number.POSITIVE_INFINITY,
      ...(bytes === undefined ? {} : { bytes })
    })
  const segments = () => readdir(join(folder, stage))
  return { folder, open, segments }
}
const texts = (lines: ReadonlyArray<{ readonly text: string }>) => lines.map(({ text }) => text)

describe("the runtime log", () => {
  it("numbers lines from one on and reads them by position, written or not", async () => {
    const { open } = await setUp()
    const log = open()
    for (let at = 1; at <= 10; at += 1) log.append(stage, "rel", "stdout", `line ${at}`)
    assert.strictEqual(log.newest(stage), 10)
    assert.deepEqual(texts(await log.read(stage, 7, 100)), ["line 8", "line 9", "line 10"])
    await log.close()
    log.append(stage, "rel", "stderr", "line 11")
    assert.deepEqual(texts(await log.read(stage, 8, 100)), ["line 9", "line 10", "line 11"])
    assert.deepEqual(texts(await log.read(stage, 0, 2)), ["line 1", "line 2"])
    assert.deepEqual(await log.read(stage, 11, 2), [])
    assert.deepEqual(await log.read("stg_unknown", 0, 2), [])
    await log.close()
  })

  it("keeps the newest segments only, each of about its size", async () => {
    const { folder, open, segments } = await setUp(8_000)
    const log = open()
    for (let round = 0; round < 20; round += 1) {
      for (let at = 0; at < 20; at += 1) log.append(stage, "rel", "stdout", "x".repeat(40))
      await log.close()
    }
    const names = await segments()
    assert.strictEqual(names.length, 4)
    for (const name of names) {
      const { mode, size } = await stat(join(folder, stage, name))
      assert.isBelow(size, 2_300)
      assert.strictEqual(mode & 0o777, 0o600)
    }
    const kept = await log.read(stage, 0, 10_000)
    assert.strictEqual(kept.at(-1)?.seq, 400)
    const [gap, first] = kept
    assert(gap !== undefined && first !== undefined)
    assert.deepEqual(
      [gap.stream, gap.text],
      ["platform", `${gap.seq} lines that stood here are not kept.`]
    )
    assert.strictEqual(first.seq, gap.seq + 1)
    assert.strictEqual(kept.length, 400 - gap.seq + 1)

    // It stands wherever somebody begins to read, and nowhere else.
    assert.deepEqual(texts(await log.read(stage, first.seq - 11, 1)), [
      "10 lines that stood here are not kept."
    ])
    assert.deepEqual(texts(await log.read(stage, gap.seq, 1)), [first.text])
    const pages = [await log.read(stage, 0, 7), await log.read(stage, gap.seq + 6, 10_000)]
    assert.deepEqual(pages.flat(), kept)
    const again = open()
    assert.deepEqual(await again.read(stage, 0, 10_000), kept)
  })

  it("leaves out what is too much in a second, and says how much it was", async () => {
    const { folder } = await setUp()
    const dropped: Array<readonly [string, number]> = []
    const log = makeRuntimeLog({
      folder,
      log: () => {},
      linesPerSecond: 3,
      onDropped: (...one) => dropped.push(one)
    })
    for (let at = 1; at <= 10; at += 1) log.append(stage, "rel", "stdout", `line ${at}`)
    log.append(stage, "rel", "platform", "It has ended.")
    // Nobody else says anything: the second is over all the same.
    await new Promise<boolean>((resolve) => log.onceMore(stage, 4, resolve))
    const lines = await log.read(stage, 0, 100)
    assert.deepEqual(texts(lines), [
      "line 1",
      "line 2",
      "line 3",
      "It has ended.",
      "7 lines were left out here: at most 3 a second are kept."
    ])
    assert.deepEqual(lines.map(({ release, stream }) => [release, stream]).at(-1), [
      "rel",
      "platform"
    ])
    assert.deepEqual(dropped, [[stage, 7]])
    log.append(stage, "rel", "stdout", "calm again")
    assert.strictEqual((await log.read(stage, 5, 1))[0]?.text, "calm again")
    await log.close()
  })

  it("goes on counting after a restart, also after a half-written line", async () => {
    const { folder, open, segments } = await setUp()
    const log = open()
    for (let at = 1; at <= 5; at += 1) log.append(stage, "rel", "stdout", `line ${at}`)
    await log.close()
    const [name = ""] = await segments()
    await appendFile(join(folder, stage, name), '{"seq":6,"at":1,"str')
    const again = open()
    again.append(stage, "rel", "platform", "line 6")
    await again.close()
    const lines = await open().read(stage, 3, 10)
    assert.deepEqual(
      lines.map(({ seq, text }) => `${seq} ${text}`),
      ["4 line 4", "5 line 5", "6 line 6"]
    )
  })

  it("keeps the names of workers, and reads lines that were written without one", async () => {
    const { folder, open, segments } = await setUp()
    const log = open()
    log.append(stage, "rel", "stdout", "of web")
    log.append(stage, "rel", "stderr", "of a worker", "mail-queue")
    await log.close()
    const [name = ""] = await segments()
    const older = { seq: 3, at: 1, stream: "stdout", text: "older", release: "rel" }
    await appendFile(join(folder, stage, name), `${JSON.stringify(older)}\n`)
    const lines = await open().read(stage, 0, 10)
    assert.deepEqual(
      lines.map(({ process, text }) => [process, text]),
      [
        [undefined, "of web"],
        ["mail-queue", "of a worker"],
        [undefined, "older"]
      ]
    )
    assert.notProperty(lines[0], "process")
  })

  it("cuts long lines", async () => {
    const { open } = await setUp()
    const log = open()
    log.append(stage, "rel", "stdout", "x".repeat(10_000))
    const [line] = await log.read(stage, 0, 1)
    assert.strictEqual(line?.text.length, 4_096)
    assert.isTrue(line?.text.endsWith("…"))
    await log.close()
  })

  it("loses no line of many between disk and memory", async () => {
    const { open } = await setUp(400_000)
    const log = open()
    const seen: Array<number> = []
    let at = 0
    const reader = (async () => {
      while (at < 20_000) {
        const lines = await log.read(stage, at, 500)
        for (const { seq } of lines) seen.push(seq)
        at = lines.at(-1)?.seq ?? at
        if (lines.length === 0) await new Promise((resolve) => log.onceMore(stage, at, resolve))
      }
    })()
    for (let count = 0; count < 20_000; count += 100) {
      for (let line = 0; line < 100; line += 1) log.append(stage, "rel", "stdout", "a line")
      await new Promise((resolve) => setImmediate(resolve))
      // Four segments of 100 kB are enough for what the reader is behind.
      while (log.newest(stage) - at > 2_000) await new Promise((resolve) => setImmediate(resolve))
    }
    await reader
    assert.deepEqual(
      seen,
      Array.from({ length: 20_000 }, (_, index) => index + 1)
    )
    await log.close()
  })
})

describe("a request for logs", () => {
  it("gets the tail, what came after a position, and what comes", async () => {
    const harness = await startHarness()
    onTestFinished(harness.close)
    const { control } = harness
    const { nodeKey } = await control.hello(1)
    const release = await processRelease(nodeKey, 1)
    await control.snapshot(stageOf(1, [release], 1))
    await control.state(release.release, "healthy")
    await harness.get("/print?key=1200:line")
    await control.logLine(stage, "line 1200")
    const ask = (id: number, more: Record<string, unknown>) =>
      control.send({ type: "logs", id, stage, after: null, tail: 3, follow: false, ...more })
    const all = (id: number) =>
      control.received.filter(is("lines", (sent) => sent.id === id)).flatMap(({ lines }) => lines)
    const done = (id: number) =>
      control.until(
        `end of ${id}`,
        is("lines", (sent) => sent.id === id && sent.done)
      )

    ask(1, {})
    await done(1)
    assert.deepEqual(texts(all(1)), ["line 1198", "line 1199", "line 1200"])
    assert.strictEqual(all(1)[0]?.release, release.release)
    ask(2, { after: 1 })
    await done(2)
    assert.strictEqual(all(2).length, 1200)
    const sizes = control.received.filter(is("lines", (sent) => sent.id === 2))
    assert.isTrue(sizes.every(({ lines }) => lines.length <= 500))

    ask(3, { follow: true, tail: 1 })
    await control.until(
      "tail",
      is("lines", ({ id, lines }) => id === 3 && lines.length === 1)
    )
    await harness.get("/print?key=1:news")
    await control.until(
      "news",
      is("lines", ({ id, lines }) => id === 3 && lines.at(-1)?.text === "news 1")
    )
    control.send({ type: "logs_stop", id: 3 })
    await done(3)
    assert.deepEqual(texts(all(3)), ["line 1200", "news 1"])

    // A search: the last ones with the text, in any case, however far back; also after a position.
    ask(6, { contains: "INE 11", tail: 4 })
    await done(6)
    assert.deepEqual(texts(all(6)), ["line 1196", "line 1197", "line 1198", "line 1199"])
    ask(7, { contains: "line 7", after: 702, tail: 1 })
    await done(7)
    assert.deepEqual(texts(all(7)).slice(0, 2), ["line 702", "line 703"])
    assert.isTrue(texts(all(7)).every((text) => text.includes("line 7")))
    const [{ at = 0 } = {}] = all(3).slice(-1)
    ask(8, { since: at, tail: 100 })
    await done(8)
    assert.strictEqual(texts(all(8)).at(-1), "news 1")
    assert.isTrue(all(8).every((line) => line.at >= at))
    ask(9, { since: at + 1, contains: "news", tail: 100 })
    await done(9)
    assert.deepEqual(all(9), [])
    ask(10, { contains: "more", follow: true, tail: 5 })
    await harness.get("/print?key=2:less")
    await harness.get("/print?key=2:more")
    await control.until(
      "what fits",
      is("lines", ({ id, lines }) => id === 10 && lines.at(-1)?.text === "more 2")
    )
    control.send({ type: "logs_stop", id: 10 })
    await done(10)
    assert.deepEqual(texts(all(10)), ["more 1", "more 2"])

    ask(4, { follow: true, tail: 0 })
    await control.snapshot()
    await done(4)
    ask(5, { stage: idOf("stg", 9) })
    await done(5)
  })
})
