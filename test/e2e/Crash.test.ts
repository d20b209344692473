/**
 * kill -9 of control, of the edge and of both, in the middle of deployments. The moment is the phase
 * that the pusher sees; afterwards the deployment ends live and nothing is there twice.
 */
import { randomBytes } from "node:crypto"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "./Eventually.ts"
import { freePort, type Platform, startPlatform } from "./Platform.ts"
import { processesWith } from "./Remains.ts"
import { nodeApp, site } from "./Samples.ts"
import type { WorkTree } from "./WorkTree.ts"

/** In the environment of every process of the service, and nowhere else. */
const mark = `mark-${randomBytes(8).toString("hex")}`
const slow = { build: 400, start: 400 }

let platform: Platform
let tree: WorkTree
let version = 0
let pushed = 0

beforeAll(async () => {
  platform = await startPlatform()
  await platform.api.repository("shop")
  await platform.api.createService({ repo: "shop", name: "shop", env_vars: { GREETING: mark } })
  await platform.api.repository("page")
  await platform.api.createService({ repo: "page", name: "page" })
  const page = await platform.workTree()
  await page.commit(site("a page"))
  await page.push(await platform.api.pushUrl("page"))
  tree = await platform.workTree()
  await tree.commit(nodeApp("v0"))
  pushed++
  const first = await tree.push(await platform.api.pushUrl("shop"))
  assert.match(first.output, /shop#1: live/u)
})
afterAll(() => platform.dispose())

const phases = {
  source: "reading the source",
  build: "building",
  start: "starting",
  health: "waiting until it answers",
  route: "moving traffic",
  end: "live"
} as const
type Moment = keyof typeof phases

/** Pushes a new version and resolves when the pusher sees the moment. */
const pushUntil = async (moment: Moment) => {
  const name = `v${++version}`
  const number = ++pushed
  await tree.commit(nodeApp(name, slow))
  const url = await platform.api.pushUrl("shop")
  const seen = Promise.withResolvers<void>()
  const ended = tree.push(url, "HEAD:main", (line) => {
    if (line.startsWith(`shop#${number}: ${phases[moment]}`)) seen.resolve()
  })
  const early = await Promise.race([seen.promise, ended])
  assert.isUndefined(early, `the push ended before ${moment}: ${early?.output}`)
  return { name, number, ended }
}

/** Processes of the service that answer requests. */
const servers = () =>
  processesWith(mark).filter(({ command }) => /(^|\/)node server\.js$/u.test(command))

/** An edge that was killed refuses connections until it is back. */
const answerOf = (label: string) =>
  eventually(`${label} answers`, () =>
    platform.get(label).then(
      ({ status, body }) => (status === 200 ? body : undefined),
      () => undefined
    )
  )

/** The deployment is live, its version answers, and it alone runs. */
const assertFinished = async (name: string, number: number) => {
  const ended = await platform.api.ended("shop", number)
  assert.strictEqual(ended.status, "live", JSON.stringify(ended.failure))
  assert.strictEqual(await answerOf("shop"), `${name} ${mark}`)
  assert.include(await answerOf("page"), "a page")
  await eventually("one process serves", () => servers().length === 1)
}

describe("control is killed", () => {
  it.each(["source", "build", "start", "health", "route", "end"] as const)(
    "while a push is in its phase '%s'",
    async (moment) => {
      const edge = platform.pid("edge")
      const before = await answerOf("shop")
      const probe = platform.probe("shop")
      const { name, number, ended } = await pushUntil(moment)
      await platform.kill9("control")
      const answered = probe.count()
      await ended
      await eventually("requests are answered without control", () => probe.count() > answered + 5)
      await platform.start()
      await assertFinished(name, number)
      const { bad, bodies } = await probe.stop()
      assert.deepStrictEqual(bad, [])
      assert.deepStrictEqual(bodies, [before, `${name} ${mark}`])
      assert.strictEqual(platform.pid("edge"), edge)
      assert.match(platform.output(), /has been adopted/u)
    }
  )
})

describe("the edge is killed", () => {
  it("while nothing happens: control starts it again, and services come back", async () => {
    const edge = platform.pid("edge")
    const control = platform.pid("control")
    await platform.kill9("edge")
    await answerOf("shop")
    assert.include(await answerOf("page"), "a page")
    assert.notStrictEqual(platform.pid("edge"), edge)
    assert.strictEqual(platform.pid("control"), control)
    await eventually("one process serves", () => servers().length === 1)
  })

  it.each(["build", "start", "health", "route"] as const)(
    "while a push is in its phase '%s'",
    async (moment) => {
      const { name, number, ended } = await pushUntil(moment)
      await platform.kill9("edge")
      await ended
      await assertFinished(name, number)
    }
  )

  it("and the one that was adopted is started again too", async () => {
    await platform.kill9("control")
    await platform.start()
    await platform.kill9("edge")
    await answerOf("shop")
  })
})

describe("both are killed", () => {
  it.each(["source", "build", "start", "health", "route", "end"] as const)(
    "while a push is in its phase '%s'",
    async (moment) => {
      const { name, number, ended } = await pushUntil(moment)
      await platform.kill9("both")
      await ended
      await platform.start()
      await assertFinished(name, number)
    }
  )

  it("while one deployment runs and another is queued: neither is lost", async () => {
    const { number, ended } = await pushUntil("build")
    await tree.commit(nodeApp(`v${++version}`, slow))
    const queued = ++pushed
    const seen = Promise.withResolvers<void>()
    const url = await platform.api.pushUrl("shop")
    const second = tree.push(url, "HEAD:main", (line) => {
      if (line.startsWith(`shop#${queued}: `)) seen.resolve()
    })
    await Promise.race([seen.promise, second])
    await platform.kill9("both")
    await Promise.all([ended, second])
    await platform.start()
    await assertFinished(`v${version}`, queued)
    assert.include(["superseded", "replaced"], (await platform.api.ended("shop", number)).status)
  })
})

describe("a service that was deleted", () => {
  it("stays deleted when both are killed at once", async () => {
    const own = `mark-${randomBytes(8).toString("hex")}`
    await platform.api.repository("gone")
    await platform.api.createService({ repo: "gone", name: "gone", env_vars: { GREETING: own } })
    const other = await platform.workTree()
    await other.commit(nodeApp("gone"))
    await other.push(await platform.api.pushUrl("gone"))
    assert.strictEqual(await answerOf("gone"), `gone ${own}`)
    await platform.api.remove("gone")
    await platform.kill9("both")
    await platform.start()
    assert.strictEqual(await answerOf("shop"), `v${version} ${mark}`)
    assert.strictEqual((await platform.get("gone")).status, 404)
    assert.deepStrictEqual(processesWith(own), [])
    const { code } = await platform.api.refused("get_service", { name: "gone" })
    assert.strictEqual(code, "not_found")
  })
})

describe("ports", () => {
  it("that changed are taken over by the edge that is adopted", async () => {
    const edge = platform.pid("edge")
    await platform.kill9("control")
    await platform.start({ port: await freePort(), appsPort: await freePort() })
    assert.strictEqual(platform.pid("edge"), edge)
    const { body } = await platform.get("shop")
    assert.strictEqual(body, `v${version} ${mark}`)
    const { url } = await platform.api.service("shop")
    assert.strictEqual(url, `http://shop.localhost:${platform.ports().appsPort}`)
    const { name, number, ended } = await pushUntil("end")
    assert.match(
      (await ended).output,
      new RegExp(`http://shop.localhost:${platform.ports().appsPort}`)
    )
    await assertFinished(name, number)
  })
})

describe("the end", () => {
  it("a stop leaves nothing, and a start brings everything back", async () => {
    await platform.stop()
    assert.deepStrictEqual(processesWith(mark), [])
    await platform.start()
    assert.strictEqual(await answerOf("shop"), `v${version} ${mark}`)
    await platform.stop()
  })
})
