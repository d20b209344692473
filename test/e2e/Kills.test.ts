/**
 * kill -9 of control at random moments while people push, redeploy and push again, and visitors ask each
 * service a hundred times a second. What was accepted is live in the end, what was asked once was
 * done once, and no visitor noticed. `npm run chaos -- --kills 1000` does it for longer.
 */
import { setTimeout as pause } from "node:timers/promises"
import { chanceOf } from "@deploy-mcp/domain/chaos/Chance"
import { afterAll, assert, beforeAll, it } from "vitest"
import { cores, tellRun } from "../chaos/Report.ts"
import { Refused } from "./Api.ts"
import { eventually } from "./Eventually.ts"
import { type Platform, startPlatform } from "./Platform.ts"
import { differencesAtStart } from "./Reconciled.ts"
import { together } from "./Requests.ts"
import { nodeApp, site } from "./Samples.ts"
import type { Files } from "./WorkTree.ts"

const kills = Number(process.env.TEST_KILLS ?? 30)
const seed = process.env.TEST_SEED ?? "kills"

/** Live from the first test on. */
const services = ["shop", "page"]

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(() => platform.dispose())

/** Tries until control is there to answer; a refusal that says to come back is no answer. */
const insist = async <A>(ask: () => Promise<A>): Promise<A> => {
  let last: unknown
  const look = () =>
    ask().then(
      (value) => ({ value }),
      (error: unknown) => {
        if (error instanceof Refused && !error.failure.retryable) throw error
        last = error
        return undefined
      }
    )
  const found = await eventually("an answer", look, 120_000).catch((error: unknown) => {
    throw new Error(`${error}; the last answer was ${last}`)
  })
  return found.value
}

const pusherOf = async (name: string, files: (version: string) => Files) => {
  await platform.api.createRepo(name)
  await platform.api.createService({ repo: name, name })
  const tree = await platform.workTree()
  let version = 0
  const push = () =>
    insist(async () => {
      // A token lives for minutes, and the kills may go on for hours.
      const { code, output } = await tree.push(await platform.api.pushUrl(name))
      if (code !== 0) throw new Error(output)
    })
  return {
    /** Pushes a new version; what is accepted counts, whoever dies meanwhile. */
    next: async () => {
      const commit = await tree.commit(files(`v${++version}`))
      await push()
      return { commit, version: `v${version}` }
    },
    again: push
  }
}

it(`loses nothing and is not noticed across ${kills} kills of control`, {
  timeout: 120_000 + kills * 10_000
}, async () => {
  const chance = chanceOf(seed)
  const shop = await pusherOf("shop", (version) => nodeApp(version, { build: chance.below(200) }))
  const page = await pusherOf("page", site)
  await shop.next()
  await page.next()
  await platform.api.ended("shop")
  await platform.api.ended("page")
  const probes = services.map((label) => platform.probe(label))

  let storming = true
  /** How often each caller was answered. */
  const answered = { shop: 0, page: 0, redeploys: 0 }
  const keyed = new Map<string, Set<number>>()
  const redeploy = async (key: string) => {
    const ask = () => platform.api.redeploy("page", { idempotency_key: key })
    const { number } = await insist(ask)
    keyed.set(key, (keyed.get(key) ?? new Set()).add(number))
    answered.redeploys += 1
  }
  const pushing = async (pusher: typeof shop, name: "shop" | "page") => {
    while (storming) {
      await pusher.next()
      answered[name] += 1
      if (chance.happens(0.3)) await pusher.again()
      await pause(chance.below(300))
    }
  }
  const redeploying = async () => {
    for (let round = 0; storming; round += 1) {
      await redeploy(`round-${round}`)
      if (chance.happens(0.5)) await redeploy(`round-${round}`)
      await pause(chance.below(1_000))
    }
  }
  const callers = Promise.all([pushing(shop, "shop"), pushing(page, "page"), redeploying()])
  for (let kill = 0; kill < kills; kill += 1) {
    // Who gives up ends the storm at once.
    await Promise.race([pause(chance.below(900)), callers])
    await platform.kill9("control")
    await pause(chance.below(200))
    await platform.start()
    if (kill % 100 === 99) console.log({ kills: kill + 1, ...answered })
    if (kill % 10 !== 9) continue
    // On a slow machine control may never live for as long as a push takes: now and then it has to.
    const before = { ...answered }
    const all = ["shop", "page", "redeploys"] as const
    const isHeard = () => all.every((one) => answered[one] > before[one])
    await Promise.race([eventually("everybody is answered", isHeard, 120_000), callers])
  }
  storming = false
  await callers

  const last = await shop.next()
  await page.next()
  let deployments = 0
  for (const name of services) {
    const newest = await platform.api.ended(name)
    assert.strictEqual(newest.status, "live")
    deployments += newest.number
    const open = (await platform.api.deployments(name)).filter(
      ({ finished_at }) => finished_at === null
    )
    assert.deepStrictEqual(open, [], "each that was accepted has ended")
  }
  assert.strictEqual((await platform.api.service("shop")).live_commit, last.commit)
  assert.include((await platform.get("shop")).body, last.version)
  for (const [key, numbers] of keyed) assert.lengthOf([...numbers], 1, `${key} was done once`)
  const { bad, requests } = together(await Promise.all(probes.map((probe) => probe.stop())))
  const of = { kills, redeploys: keyed.size, deployments }
  tellRun({ kills: { ...of, cores, requests, failed: bad.length } })
  assert.deepStrictEqual(bad, [])
  await platform.stop()
  await differencesAtStart(platform)
  await platform.stop()
  assert.deepStrictEqual(
    await differencesAtStart(platform),
    [],
    "one comparison mends all that is left"
  )
})

it("ends a storm of fifty pushes with the newest one live", async () => {
  const { next } = await pusherOf("storm", nodeApp)
  await next()
  const url = await platform.api.pushUrl("storm")
  const tree = await platform.workTree()
  const probes = [...services, "storm"].map((label) => platform.probe(label))
  const commits: Array<string> = []
  for (let at = 0; at < 50; at += 1) commits.push(await tree.commit(nodeApp(`s${at}`)))
  const pushes = commits.map(async (commit, at) => {
    await pause(at * 100)
    return tree.push(url, `${commit}:main`)
  })
  await Promise.all(pushes)
  await tree.push(url)
  const newest = await platform.api.ended("storm")
  assert.strictEqual(newest.status, "live")
  const { live_commit } = await platform.api.service("storm")
  assert.strictEqual(live_commit, commits.at(-1))
  const all = await platform.api.deployments("storm")
  assert.deepStrictEqual(
    all.filter(({ finished_at }) => finished_at === null),
    []
  )
  const { bad } = together(await Promise.all(probes.map((probe) => probe.stop())))
  assert.deepStrictEqual(bad, [])
}, 180_000)
