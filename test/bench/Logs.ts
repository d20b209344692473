/**
 * What a service prints until somebody who follows its log reads it, at ten thousand lines a second; and
 * of a service that prints more than it may, whether the log says exactly what it left out.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { get, type IncomingMessage } from "node:http"
import { join } from "node:path"
import type { Readable } from "node:stream"
import { type Platform, startPlatform } from "../e2e/Platform.ts"
import { ask } from "../e2e/Requests.ts"
import { program } from "../e2e/Samples.ts"
import { ended } from "./Floor.ts"
import { type Row, row } from "./Numbers.ts"
import { untilAnswers } from "./UntilAnswers.ts"
import type { Benchmark, World } from "./World.ts"

const perSecond = 10_000
/** What one service may print in a second here. */
const limit = 2 * perSecond
const name = "talker"
/** As long as a line of an access log is. */
const padding = ".".repeat(100)

/**
 * `printAll(lines, perSecond)` prints as many lines, each with its number and when it was printed, in
 * microseconds of the machine's monotonic clock; the last one is `end`.
 */
const talk = `const now = () => Number(process.hrtime.bigint() / 1000n)
const printAll = (lines, perSecond) => {
  const began = now()
  let printed = 0
  const print = () => {
    const due = Math.min(lines, Math.ceil(((now() - began) * perSecond) / 1e6))
    let text = ""
    for (; printed < due; printed++) text += printed + " " + now() + " ${padding}\\n"
    process.stdout.write(text)
    if (printed < lines) setTimeout(print, 1)
    else setTimeout(() => console.log("end"), 1_500)
  }
  print()
}
`

const service = program(`${talk}
require("node:http").createServer((request, response) => {
  const { searchParams } = new URL(request.url, "http://localhost")
  if (searchParams.has("lines")) {
    printAll(Number(searchParams.get("lines")), Number(searchParams.get("rate")))
  }
  response.end("talks")
}).listen(process.env.PORT)
`)

export const logs: Benchmark = {
  id: "logs",
  run: async (world) => {
    // Room for all that is printed: a reader that is behind for seconds loses nothing either.
    const platform = await startPlatform({
      DEPLOY_MCP_LOG_RATE: String(limit),
      DEPLOY_MCP_LOG_SIZE: "64"
    })
    try {
      await platform.api.call("deploy_files", { name, files: service })
      await platform.api.ended(name)
      const where = { port: platform.ports().appsPort, host: `${name}.localhost` }
      await untilAnswers({ ...where, accepts: (body) => body === "talks" })
      return [...(await fast(world, platform)), await tooFast(platform)]
    } finally {
      await platform.dispose()
    }
  }
}

const fast = async (world: World, platform: Platform): Promise<ReadonlyArray<Row>> => {
  const count = world.times(10) * perSecond
  const read = await follow(platform, { lines: count, rate: perSecond })
  const piped = await fromPipe(world, count)
  return [
    row({
      what: `log line → reader, ${perSecond} lines a second`,
      ours: some(read.took),
      floor: some(piped.took),
      floorIs: "the same lines out of the program's own pipe",
      budget: { p95: 50 },
      parts: { "lines a second": read.perSecond, "of the floor": piped.perSecond }
    }),
    row({
      what: `log lines missing, of ${count}`,
      unit: "lines",
      ours: [count - read.took.length + read.gaps + read.leftOut],
      floor: [],
      floorIs: "none",
      budget: { p50: 0 }
    })
  ]
}

const tooFast = async (platform: Platform): Promise<Row> => {
  const count = 5 * limit
  const { gaps, leftOut, took } = await follow(platform, { lines: count, rate: 2 * limit })
  return row({
    what: `log lines unaccounted for, ${2 * limit} a second where ${limit} may be`,
    unit: "lines",
    ours: [Math.abs(count - took.length - leftOut) + gaps],
    floor: [],
    floorIs: "none",
    budget: { p50: 0 },
    parts: { read: took.length, "left out, says the log": leftOut }
  })
}

interface Heard {
  /** Milliseconds from printed to read, in the order of reading. */
  readonly took: ReadonlyArray<number>
  readonly perSecond: number
  /** Lines that the log says were left out. */
  readonly leftOut: number
  /** Positions of the log that the reader has not seen. */
  readonly gaps: number
}

const follow = async (
  platform: Platform,
  { lines, rate }: { readonly lines: number; readonly rate: number }
): Promise<Heard> => {
  const heard = makeEar()
  const stream = await openLog(platform)
  const all = eachLine(stream, (json) => {
    const { seq, text } = JSON.parse(json)
    return heard.line(text, seq)
  })
  await ask({
    port: platform.ports().appsPort,
    host: `${name}.localhost`,
    path: `/?lines=${lines}&rate=${rate}`
  })
  await all
  stream.destroy()
  return heard.all()
}

const openLog = (platform: Platform) =>
  new Promise<IncomingMessage>((resolve, reject) => {
    const headers = { authorization: `Bearer ${platform.key()}` }
    get(
      `${platform.url()}/api/v1/services/${name}/logs?follow=true&tail=0`,
      { headers },
      (answer) =>
        answer.statusCode === 200 ? resolve(answer) : reject(new Error(`${answer.statusCode}`))
    ).on("error", reject)
  })

const fromPipe = async (world: World, lines: number): Promise<Heard> => {
  const directory = join(world.floor.folder, name)
  mkdirSync(directory)
  writeFileSync(join(directory, "talk.cjs"), `${talk}printAll(${lines}, ${perSecond})\n`)
  const child: ChildProcess = spawn(process.execPath, ["talk.cjs"], {
    cwd: directory,
    stdio: ["ignore", "pipe", "inherit"]
  })
  if (child.stdout === null) throw new Error("its output is not a pipe")
  const heard = makeEar()
  await eachLine(child.stdout, (text) => heard.line(text, null))
  await ended(child)
  return heard.all()
}

/** Resolves at the first line for which `onLine` answers true; rejects when the stream ends before. */
const eachLine = (stream: Readable, onLine: (line: string) => boolean): Promise<void> =>
  new Promise((resolve, reject) => {
    let rest = ""
    stream.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n")
      rest = lines.pop() ?? ""
      if (lines.some(onLine)) resolve()
    })
    stream.on("error", reject)
    stream.on("close", () => reject(new Error("the log has ended before its last line")))
  })

const makeEar = () => {
  const took: Array<number> = []
  let began = 0
  let last = 0
  let seqBefore: number | null = null
  let gaps = 0
  let leftOut = 0
  return {
    /** True: it was the last one. */
    line: (text: string, seq: number | null): boolean => {
      if (seq !== null) {
        if (seqBefore !== null) gaps += seq - seqBefore - 1
        seqBefore = seq
      }
      if (text === "end") return true
      const marker = /^(\d+) lines were left out here/u.exec(text)
      if (marker !== null) leftOut += Number(marker[1])
      const [, printed] = /^\d+ (\d+) \./u.exec(text) ?? []
      if (printed === undefined) return false
      last = Number(process.hrtime.bigint() / 1000n)
      if (took.length === 0) began = last
      took.push((last - Number(printed)) / 1000)
      return false
    },
    all: (): Heard => ({
      took,
      perSecond: (took.length * 1e6) / (last - began),
      leftOut,
      gaps
    })
  }
}

/** Enough of them for a percentile; a report of all would be long. */
const some = (all: ReadonlyArray<number>): ReadonlyArray<number> =>
  all.filter((_, at) => at % Math.ceil(all.length / 10_000) === 0)
