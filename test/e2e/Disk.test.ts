/** A disk that is almost full: nothing new is built, and what is there goes on. */
import { afterAll, assert, beforeAll, it } from "vitest"
import { type Platform, startPlatform } from "./Platform.ts"
import { nodeApp } from "./Samples.ts"

const limit = "DEPLOY_MCP_MIN_FREE_DISK"
/** More than any machine has, in MiB. */
const everything = String(1024 ** 4)
const name = "kept"
const env: Record<string, string> = { [limit]: "0" }

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform(env)
})
afterAll(() => platform.dispose())

const deploy = (version: string) =>
  platform.api.call("deploy_files", { name, files: nodeApp(version) })
const ended = async (number: number) => {
  const { status, failure } = await platform.api.ended(name, number)
  return { status, failure }
}
const restart = async (minimum: string) => {
  await platform.stop()
  env[limit] = minimum
  await platform.start()
}

it("is told by the deployment that would need it, while releases serve and come back", async () => {
  await deploy("one")
  assert.strictEqual((await ended(1)).status, "live")
  await deploy("two")
  assert.strictEqual((await ended(2)).status, "live")

  await restart(everything)
  await deploy("three")
  const { failure, status } = await ended(3)
  assert.strictEqual(status, "failed")
  assert(failure !== null)
  assert.deepStrictEqual(
    [failure.code, failure.phase, failure.retryable],
    ["disk_full", "build", true]
  )
  assert.match(failure.cause, /^The disk has \d+ MiB free; below \d+ MiB nothing is built\.$/u)
  assert.include(failure.next, "redeploy_service")
  assert.include((await platform.get(name)).body, "two")

  // Built before: nothing is written but rows.
  await platform.api.rollback(name, { to: `${name}#1` })
  assert.strictEqual((await ended(4)).status, "live")
  assert.include((await platform.get(name)).body, "one")

  await restart("0")
  await platform.api.redeploy(name)
  assert.strictEqual((await ended(5)).status, "live")
  assert.include((await platform.get(name)).body, "three")
})
