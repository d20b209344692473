/** Secrets are searched for in every byte of the home and in every command line of the machine. */
import { randomBytes } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join, relative } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "./Eventually.ts"
import { type Platform, startPlatform } from "./Platform.ts"
import { processesOf, processesWith } from "./Remains.ts"
import { nodeApp, program } from "./Samples.ts"
import type { WorkTree } from "./WorkTree.ts"

const variables = {
  GREETING: `canary-${randomBytes(24).toString("hex")}`,
  DATABASE_URL: `postgres://user:${randomBytes(24).toString("base64url")}@db.example/app`
}

let platform: Platform
let tree: WorkTree
let pushUrl: string
/** Everything that must be nowhere. */
const secrets = new Map<string, string>(Object.entries(variables))

beforeAll(async () => {
  platform = await startPlatform({ DEPLOY_MCP_START_TIMEOUT: "3" })
  pushUrl = await platform.api.repository("canary")
  secrets.set("git token", new URL(pushUrl).password)
  secrets.set("owner key", platform.key())
  for (const [name, secret] of secrets) assert.isAbove(secret.length, 30, name)
  await platform.api.createService({ repo: "canary", name: "canary", env_vars: variables })
  tree = await platform.workTree()
})
afterAll(() => platform.dispose())

/** The words as they are, and as an HTTP header or a data column might hold them. */
const formsOf = (secret: string): ReadonlyArray<Buffer> =>
  [
    secret,
    Buffer.from(secret).toString("base64").replace(/=+$/u, ""),
    Buffer.from(secret).toString("hex"),
    encodeURIComponent(secret)
  ].map((form) => Buffer.from(form))

/** `<secret> in <file>` for each file of the home that holds one. */
const foundIn = (home: string, wanted: ReadonlyMap<string, string>): ReadonlyArray<string> => {
  const needles = [...wanted].map(([name, secret]) => ({ name, forms: formsOf(secret) }))
  return filesOf(home).flatMap((file) => {
    const bytes = contentOf(file)
    return needles
      .filter(({ forms }) => forms.some((form) => bytes.includes(form)))
      .map(({ name }) => `${name} in ${relative(home, file)}`)
  })
}

const filesOf = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

/** A file may go while it is looked at. */
const contentOf = (file: string): Buffer => {
  try {
    return readFileSync(file)
  } catch {
    return Buffer.alloc(0)
  }
}

const assertClean = () => {
  assert.deepStrictEqual(foundIn(platform.home, secrets), ["owner key in owner-key"])
}

/** Reads all command lines again and again while `work` goes on. */
const watching = async (work: () => Promise<unknown>): Promise<ReadonlyArray<string>> => {
  const found = new Set<string>()
  let on = true
  const watch = (async () => {
    while (on) {
      for (const { command } of processesOf(platform.home)) {
        for (const [name, secret] of secrets) {
          if (command.includes(secret)) found.add(`${name} in the command line ${command}`)
        }
      }
      await pause(10)
    }
  })()
  await work().finally(() => {
    on = false
  })
  await watch
  return [...found]
}

/** The build prints what it must not print; the log has to keep quiet about it. */
const talkative = (version: string) => ({
  ...nodeApp(version, { build: 200 }),
  "build.js": `console.log("building with " + process.env.GREETING)
console.error(JSON.stringify(process.env.DATABASE_URL))
setTimeout(() => {}, 200)`
})

describe("secrets", () => {
  it("the search finds what is there", () => {
    const wanted = new Map([["name", "canary"]])
    assert.include(foundIn(platform.home, wanted).join("\n"), "deploy-mcp.db")
  })

  it("are nowhere after deployments, and the services have them", async () => {
    const seen = await watching(async () => {
      for (const version of ["v1", "v2"]) {
        await tree.commit(talkative(version))
        const pushed = await tree.push(pushUrl)
        assert.match(pushed.output, /: live \(/u)
        assert.include(pushed.output, "building with ••••••")
        for (const secret of Object.values(variables)) assert.notInclude(pushed.output, secret)
      }
      await platform.api.redeploy("canary")
      await platform.api.ended("canary")
    })
    assert.deepStrictEqual(seen, [])
    assert.strictEqual((await platform.get("canary")).body, `v2 ${variables.GREETING}`)
    const shown = await platform.api.service("canary", { include_env: true })
    assert.include(JSON.stringify(shown.env), variables.DATABASE_URL)
    assertClean()
  })

  it("are nowhere after a build and a start that failed", async () => {
    for (const [files, code] of [
      [
        { ...talkative("v3"), "build.js": "console.log(process.env); process.exit(1)" },
        "build_failed"
      ],
      [program("console.log(process.env); throw new Error(process.env.DATABASE_URL)"), "exited"]
    ] as const) {
      await tree.commit(files)
      const pushed = await tree.push(pushUrl)
      assert.include(pushed.output, code)
      for (const secret of Object.values(variables)) assert.notInclude(pushed.output, secret)
      const { latest_deployment } = await platform.api.service("canary")
      for (const secret of Object.values(variables)) {
        assert.notInclude(JSON.stringify(latest_deployment), secret)
      }
    }
    assertClean()
  })

  it("are nowhere after a crash in the middle of a deployment, nor after the recovery", async () => {
    await tree.commit(talkative("v4"))
    const building = Promise.withResolvers<void>()
    const pushing = tree.push(pushUrl, "HEAD:main", (line) => {
      if (line.endsWith("building")) building.resolve()
    })
    await Promise.race([building.promise, pushing])
    await platform.kill9("both")
    await pushing
    assertClean()
    await platform.start()
    assert.strictEqual((await platform.api.ended("canary")).status, "live")
    assert.strictEqual((await platform.get("canary")).body, `v4 ${variables.GREETING}`)
    assertClean()
  })

  it("are not in the runtime log of a program that prints them", async () => {
    await tree.commit(
      program(`console.log("my greeting is " + process.env.GREETING)
console.error(JSON.stringify(process.env))
require("node:http").createServer((_, response) => response.end(process.env.GREETING))
  .listen(process.env.PORT)`)
    )
    await tree.push(pushUrl)
    const log = await eventually("the program has printed", async () => {
      const { runtime_log } = await platform.api.service("canary", { runtime_log_lines: 100 })
      const text = runtime_log.map((line) => line.text).join("\n")
      return text.includes("my greeting is") && text.includes("DATABASE_URL") && text
    })
    for (const secret of Object.values(variables)) assert.notInclude(log, secret)
    assertClean()
  })

  it("are in the environment of the service alone", () => {
    const platformPids = [platform.pid("control"), platform.pid("edge")]
    for (const [name, secret] of secrets) {
      const pids = processesWith(secret).map(({ pid }) => pid)
      for (const pid of platformPids) assert.notInclude(pids, pid, name)
    }
    assert.isNotEmpty(processesWith(variables.GREETING))
  })

  it("are nowhere after a stop, nor in what was printed after the first start", async () => {
    await platform.stop()
    assertClean()
    for (const [name, secret] of secrets) {
      const times = platform.output().split(secret).length - 1
      assert.strictEqual(times, name === "owner key" ? 1 : 0, name)
    }
  })
})
