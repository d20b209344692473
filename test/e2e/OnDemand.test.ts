/** A service that sleeps: by a change of its settings, woken by many, and through the death of the edge. */
import { randomBytes } from "node:crypto"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "./Eventually.ts"
import { type Platform, startPlatform } from "./Platform.ts"
import { processesWith } from "./Remains.ts"
import { program } from "./Samples.ts"

/** In the environment of every process of the service, and nowhere else. */
const mark = `mark-${randomBytes(8).toString("hex")}`

/** Each process answers with a number of its own. */
const files = program(`const own = require("node:crypto").randomUUID()
require("node:http").createServer((_, response) => response.end(own)).listen(process.env.PORT)
`)

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
  const url = await platform.api.repository("sleeper")
  await platform.api.createService({ repo: "sleeper", name: "sleeper", env_vars: { MARK: mark } })
  const tree = await platform.workTree()
  await tree.commit(files)
  await tree.push(url)
  assert.strictEqual((await platform.api.ended("sleeper")).status, "live")
})
afterAll(() => platform.dispose())

/** Ten seconds is the least that may be asked for. */
const asleep = () =>
  eventually("it sleeps", async () => {
    const { next, status } = await platform.api.service("sleeper")
    assert.strictEqual(status, "live")
    return next.includes("asleep until the next request")
  })

const hundred = async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, () => platform.get("sleeper")))
  assert.deepStrictEqual([...new Set(answers.map(({ status }) => status))], [200])
  const bodies = [...new Set(answers.map(({ body }) => body))]
  assert.lengthOf(bodies, 1)
  return bodies[0]
}

describe("a service on demand", () => {
  it("is made one without a build, sleeps, and goes on where it stood for 100 at once", async () => {
    assert.strictEqual((await platform.api.service("sleeper")).mode, "persistent")
    const change = { name: "sleeper", mode: "on_demand", idle_after: 10 }
    const updated = await platform.api.call("update_service", change)
    assert.include(JSON.stringify(updated), '"rebuild":false')
    assert.strictEqual((await platform.api.ended("sleeper")).status, "live")
    assert.strictEqual((await platform.api.service("sleeper")).mode, "on_demand")
    const before = (await platform.get("sleeper")).body
    await asleep()
    assert.strictEqual(await hundred(), before)
  })

  it("sleeps through the death of the edge, and is started by 100 at once", async () => {
    const before = (await platform.get("sleeper")).body
    await asleep()
    await platform.kill9("edge")
    const answers = () =>
      platform.get("nobody").then(
        () => true,
        () => false
      )
    await eventually("another edge listens", answers)
    // What stood still when its edge died was thawed and killed by this one, and not started.
    assert.deepStrictEqual(processesWith(mark), [])
    await asleep()
    assert.notStrictEqual(await hundred(), before)
  })

  it("goes on where it stood still when somebody goes back to it", async () => {
    const before = (await platform.get("sleeper")).body
    await platform.api.call("update_service", { name: "sleeper", env_vars: { MORE: "yes" } })
    assert.strictEqual((await platform.api.ended("sleeper")).status, "live")
    assert.notStrictEqual((await platform.get("sleeper")).body, before)
    await platform.api.rollback("sleeper")
    assert.strictEqual((await platform.api.ended("sleeper")).status, "live")
    assert.strictEqual((await platform.get("sleeper")).body, before)
  })

  it("is replaced while it sleeps, and leaves nothing when the platform is stopped", async () => {
    await asleep()
    await platform.api.redeploy("sleeper")
    assert.strictEqual((await platform.api.ended("sleeper")).status, "live")
    assert.strictEqual((await platform.get("sleeper")).status, 200)
    await asleep()
    await platform.stop()
    assert.deepStrictEqual(processesWith(mark), [])
  })
})
