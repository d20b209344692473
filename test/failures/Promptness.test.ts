/**
 * A failure is named within two seconds of what caused it, by every door. The program that fails prints
 * when it does, and that moment counts: what a machine needs to build and start is not ours.
 */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Agent, agents } from "../e2e/Agents.ts"
import { runCli } from "../e2e/CommandLine.ts"
import { eventually } from "../e2e/Eventually.ts"
import { type Platform, startPlatform } from "../e2e/Platform.ts"
import { nodeApp, program } from "../e2e/Samples.ts"
import type { Files, WorkTree } from "../e2e/WorkTree.ts"
import { limits } from "./Samples.ts"

let platform: Platform
let agent: Agent
beforeAll(async () => {
  platform = await startPlatform(limits)
  const [, connect] = agents.find(([label]) => label === "client-2-auto") ?? []
  assert(connect !== undefined)
  agent = await connect(platform.url(), platform.key())
})
afterAll(async () => {
  await agent?.close()
  await platform?.dispose()
})

const promise = 2_000
/** A machine may have been busy with something else: so often it is tried. */
const attempts = 3

/** In a program that ends or, after so many milliseconds, is found to fail. */
const stamp = (after = 0) => `console.log("failed at", Date.now() + ${after})`
const momentIn = (lines: ReadonlyArray<string>) => {
  const [, last] = /^failed at (\d+)$/mu.exec(lines.toReversed().join("\n")) ?? []
  assert(last !== undefined, lines.join("\n"))
  return Number(last)
}

/** Each door's delay, of the first attempt that keeps the promise or of the last one. */
const delays = async (attempt: (number: number) => Promise<Readonly<Record<string, number>>>) => {
  for (let number = 1; ; number += 1) {
    const seen = await attempt(number)
    const late = Object.values(seen).some((delay) => delay > promise)
    if (!late || number === attempts) return seen
  }
}

const inTime = (seen: Readonly<Record<string, number>>) => {
  for (const [door, delay] of Object.entries(seen)) {
    assert.isAtMost(delay, promise, door)
  }
}

interface Case {
  readonly code: string
  readonly what: string
  readonly files: Files
}

const cases: ReadonlyArray<Case> = [
  {
    code: "exited",
    what: "the exit of a process that starts",
    files: program(`setTimeout(() => { ${stamp()}; process.exit(1) }, 200)`)
  },
  {
    code: "build_failed",
    what: "the exit of a build",
    files: program("1", {
      scripts: { start: "node server.js", build: `node -e '${stamp()}; process.exit(3)'` }
    })
  },
  {
    code: "no_port",
    what: "the end of the time to listen on a port",
    files: program(
      `${stamp(Number(limits.DEPLOY_MCP_START_TIMEOUT) * 1000)}; setInterval(() => {}, 1000)`
    )
  }
]

const setUp = async (name: string): Promise<WorkTree> => {
  await platform.api.createRepo(name)
  await platform.api.createService({ repo: name, name })
  return platform.workTree()
}

describe("within two seconds every door has named", () => {
  it.each(cases)("$what: $code", async ({ code, files }) => {
    const name = code.replaceAll("_", "-")
    const tree = await setUp(name)
    const seen = await delays(async (number) => {
      await tree.commit({ ...files, "attempt.txt": `${number}` })
      const commandLine = runCli(
        platform,
        ["deploy", tree.directory, "--name", name],
        tree.directory
      )
      const command = commandLine.then((ran) => ({ ...ran, at: Date.now() }))
      await eventually("the deployment is there", async () => {
        const { latest_deployment } = await platform.api.service(name)
        return latest_deployment?.number === number
      })
      const told = await agent.call("wait_for_deployment", { name, deployment: number })
      const toldAt = Date.now()
      const { stdout, stderr, at } = await command
      assert.include(stderr, `✗ ${code}`)
      assert.include(stdout, `${name}#${number}: failed in`)
      const { failure, finished_at } = await platform.api.ended(name, number)
      assert.strictEqual(failure?.code, code)
      assert.strictEqual(told.status, "failed")
      const moment = momentIn(failure?.evidence ?? [])
      return {
        "the row": Date.parse(finished_at ?? "") - moment,
        "the agent that waits": toldAt - moment,
        "the push and the command line": at - moment
      }
    })
    inTime(seen)
  })

  it("the last exit of a process that ends again and again: crash_loop", async () => {
    const seen = await delays(async (number) => {
      const name = `mortal-${number}`
      const tree = await setUp(name)
      await tree.commit({
        ...nodeApp("mortal"),
        "server.js": `require("node:http").createServer((request, response) => {
          if (request.url === "/end") { ${stamp()}; process.exit(9) }
          response.end("alive")
        }).listen(process.env.PORT)`
      })
      await tree.push(await platform.api.pushUrl(name))
      const at = await eventually("the loop is named", async () => {
        const { status, next } = await platform.api.service(name)
        if (next.startsWith("crash_loop: ")) return Date.now()
        if (status === "live") await platform.get(name, { path: "/end" })
        return undefined
      })
      const { runtime_log } = await platform.api.service(name)
      return { get_service: at - momentIn(runtime_log.map(({ text }) => text)) }
    })
    inTime(seen)
  })
})
