import { assert, describe, it, onTestFinished } from "vitest"
import { dial, eventually, stageOf } from "./testing/EdgeHarness.ts"
import { pidsWith, standsStill, startWithSleepers } from "./testing/SleepingReleases.ts"

/** `deploy` makes a release live in place of the one before, as a deployment does. */
const onDemand = async (options: Parameters<typeof startWithSleepers>[0] = {}) => {
  const world = await startWithSleepers(options)
  onTestFinished(world.close)
  const { ask, control, home, sleeper } = world
  let live: Awaited<ReturnType<typeof sleeper>> | null = null
  let number = 0
  const deploy = async (NAME: string, more: Record<string, string> = {}): Promise<string> => {
    number += 1
    const before = live
    live = await sleeper(number, 60_000, { MARK: home, TICKS: "yes", NAME, ...more })
    const route = before === null ? number : number - 1
    const both = [...(before === null ? [] : [before]), live]
    if (number === 1) await control.snapshot(stageOf(number * 2, both, route))
    else await control.put(stageOf(number * 2, both, route))
    await control.state(live.release, "healthy")
    if (before !== null) {
      await control.put(stageOf(number * 2 + 1, [live], number))
      await control.state(before.release, "stopped")
    }
    assert.strictEqual((await ask("/")).text, NAME)
    return (await ask("/born")).text
  }
  return { ...world, deploy, pids: () => pidsWith(home) }
}

describe("the process of a release that was replaced", () => {
  it("stands still, and goes on for the next release that runs the same", async () => {
    const { control, deploy, pids } = await onDemand()
    const one = await deploy("one")
    const [pid = 0] = await pids()
    const two = await deploy("two")
    await eventually("the first stands still", () => standsStill(pid))
    assert.strictEqual(await deploy("one"), one)
    assert.isFalse(await standsStill(pid))
    assert.strictEqual(await deploy("two"), two)
    await eventually("the first stands still again", () => standsStill(pid))
    assert.lengthOf(await pids(), 2)
    const restarts = control.received.map((seen) => (seen.type === "release" ? seen.restarts : 0))
    assert.deepEqual([...new Set(restarts)], [0])
  })

  it("is the last one only, and nothing for a release with another variable", async () => {
    const { deploy, pids } = await onDemand()
    const one = await deploy("one")
    assert.notStrictEqual(await deploy("one"), one)
    await deploy("two")
    await eventually("the first has ended", async () => (await pids()).length === 2)
    assert.notStrictEqual(await deploy("one", { MORE: "yes" }), one)
  })

  it("ends when its memory is wanted", async () => {
    const { deploy, pids } = await onDemand({ frozenBytes: 0 })
    const one = await deploy("one")
    await deploy("two")
    await eventually("it has ended", async () => (await pids()).length === 1)
    assert.notStrictEqual(await deploy("one"), one)
  })

  it("ends with its stage", async () => {
    const { control, deploy, pids } = await onDemand()
    await deploy("one")
    await deploy("two")
    assert.lengthOf(await pids(), 2)
    await control.snapshot()
    await eventually("both have ended", async () => (await pids()).length === 0)
  })

  it("is not gone back to when it was killed meanwhile", async () => {
    const { deploy, pids } = await onDemand()
    const one = await deploy("one")
    const [pid = 0] = await pids()
    await deploy("two")
    process.kill(pid, "SIGKILL")
    assert.notStrictEqual(await deploy("one"), one)
    await eventually("two are left", async () => (await pids()).length === 2)
  })

  it("ends when somebody is still being answered at the deadline", async () => {
    const { deploy, edge, pids } = await onDemand({ drainMs: 200 })
    await deploy("one")
    const client = await dial(edge.appsPort)
    client.write("GET /held?key=slow HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    await client.until("200 OK")
    await deploy("two")
    assert.lengthOf(await pids(), 1)
    client.socket.destroy()
  })
})
