/**
 * A hundred pushes to two branches that come several times, late, and before the one they follow, from many at
 * once, while control is killed again and again: each branch's newest commit is live in the end, no push was
 * deployed twice or after a newer one, and no visitor noticed.
 */
import { setTimeout as pause } from "node:timers/promises"
import { chanceOf } from "@deploy-mcp/domain/chaos/Chance"
import { afterAll, assert, beforeAll, it } from "vitest"
import { type Delivery, deliver, deliveryOf } from "./Deliveries.ts"
import { eventually } from "./Eventually.ts"
import { type Platform, startPlatform } from "./Platform.ts"
import { together } from "./Requests.ts"
import { nodeApp, site } from "./Samples.ts"
import type { Files } from "./WorkTree.ts"

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(() => platform?.dispose())

const pushes = 10
const copies = 4
const kills = 3

/** Service, branch and what is deployed of it. */
const followers = [
  ["shop", "main", (version: string) => nodeApp(version, { build: 50 })],
  ["page", "next", site]
] as const

/** A first push that is live, and those that come after it. */
const pushesOf = async (branch: string, files: (version: string) => Files, url: string) => {
  const tree = await platform.workTree()
  let last = await tree.commit(files("v0"))
  assert.strictEqual((await tree.push(url, `HEAD:${branch}`)).code, 0)
  const all: Array<Delivery> = []
  for (let index = 1; index <= pushes; index += 1) {
    const commit = await tree.commit(files(`v${index}`))
    all.push(await deliveryOf(tree, branch, index, last))
    last = commit
  }
  return all
}

it("a hundred pushes that come twice and out of order end with the newest one live", {
  timeout: 240_000
}, async () => {
  const chance = chanceOf("deliveries")
  const url = await platform.api.repository("shop")
  const branches: Array<ReadonlyArray<Delivery>> = []
  for (const [name, branch, files] of followers) {
    await platform.api.createService({ repo: "shop", name, branch })
    branches.push(await pushesOf(branch, files, url))
  }
  const probes = followers.map(([name]) => platform.probe(name))
  const send = (delivery: Delivery) =>
    eventually(
      "a delivery is answered",
      () =>
        deliver(url, delivery).then(
          () => true,
          () => false
        ),
      60_000
    )

  const of = (from: number, to: number) =>
    branches.flat().filter(({ index }) => index >= from && index <= to)

  // Each is a few places from where it belongs, so that some follow on and some come too early or too late.
  const shuffled = of(1, pushes - 1)
    .flatMap((delivery) => Array.from({ length: copies }, () => delivery))
    .map((delivery) => ({ delivery, at: delivery.index + 3 * chance.real() }))
    .toSorted((one, other) => one.at - other.at)
    .map(({ delivery }) => delivery)
  const wave = shuffled.length / kills
  for (let kill = 0; kill < kills; kill += 1) {
    const sending = shuffled
      .slice(kill * wave, (kill + 1) * wave)
      .map((delivery, place) => pause(20 * place + chance.below(60)).then(() => send(delivery)))
    await pause(chance.below(700))
    await platform.kill9("control")
    await platform.start()
    await Promise.all(sending)
    for (const [name] of followers) await platform.api.ended(name)
  }
  for (const delivery of of(1, pushes - 1)) await send(delivery)
  // The newest comes once, and control is killed as soon as git has said that the branch has moved.
  const newest = of(pushes, pushes).map(send)
  await Promise.race(newest)
  await platform.kill9("control")
  await platform.start()
  await Promise.all(newest)
  for (const [name] of followers) {
    await eventually(`the newest push of ${name} is live`, async () => {
      await platform.api.ended(name)
      return (await platform.get(name)).body.includes(`v${pushes}`)
    })
  }

  for (const delivery of of(pushes - 3, pushes).toReversed()) await send(delivery)
  for (const [at, [name]] of followers.entries()) {
    const commits = branches[at]?.map(({ commit }) => commit) ?? []
    assert.strictEqual((await platform.api.service(name)).live_commit, commits.at(-1))
    const all = (await platform.api.deployments(name)).toReversed()
    const places = all.map(({ commit }) => commits.indexOf(commit ?? ""))
    const inOrder = [...new Set(places)].toSorted((one, other) => one - other)
    assert.deepStrictEqual(places, inOrder, "each was deployed once, none after a newer one")
    assert.isTrue(all.every(({ finished_at }) => finished_at !== null))
  }
  const { bad } = together(await Promise.all(probes.map((probe) => probe.stop())))
  assert.deepStrictEqual(bad, [])
})
