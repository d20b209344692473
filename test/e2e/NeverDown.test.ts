/**
 * A service under load while it is redeployed again and again, rolled back, and control is killed in
 * between: no visitor gets a 5xx, a broken or refused connection, or an answer too late.
 * `npm run test:never-down` does it for longer.
 */
import { availableParallelism, loadavg } from "node:os"
import { afterAll, assert, beforeAll, it } from "vitest"
import { eventually } from "./Eventually.ts"
import { load, patienceMs } from "./Load.ts"
import { type Platform, startPlatform } from "./Platform.ts"
import { program } from "./Samples.ts"

const rounds = Number(process.env.TEST_REDEPLOYS ?? 12)
const wasBusy = (loadavg()[0] ?? 0) > availableParallelism()
const isAlone = process.env.TEST_REDEPLOYS !== undefined
const name = "busy"

/** Says which deployment set its variables; `/slow` takes longer than a redeployment. */
const files = program(`const http = require("node:http")
const server = http.createServer((request, response) => {
  const mark = process.env.GREETING
  if (request.url !== "/slow") return response.end(mark)
  response.write(mark + " begins, ")
  setTimeout(() => response.end(mark + " ends"), 2000)
})
setTimeout(() => server.listen(process.env.PORT), process.env.START_MS)
process.on("SIGTERM", () => server.close(() => process.exit(0)))
`)

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(() => platform.dispose())

const call = (tool: string, args: Record<string, unknown> = {}) =>
  platform.api.call(tool, { name, ...args })
const live = async (number: number) => {
  const { deployment, status, failure } = await platform.api.ended(name, number)
  assert.deepStrictEqual([deployment, status], [`${name}#${number}`, "live"], failure?.cause)
}
/** The fifth starts for longer than visitors wait: they must not notice. */
const set = (number: number) => {
  const START_MS = number === 5 ? String(patienceMs + 500) : "0"
  const env_vars = { GREETING: `v${number}`, START_MS }
  return call("update_service", { env_vars, runtime_only: Object.keys(env_vars) })
}
const isBack = (number: number): boolean => number % 4 === 0

/** Some go back to the release before, and in the middle of others control is killed. */
const deploy = async (number: number): Promise<void> => {
  await (isBack(number) ? call("rollback_service") : set(number))
  if (number % 4 === 2) {
    await platform.kill9("control")
    await platform.start()
  }
  await live(number)
}

it(`answers every request across ${rounds} deployments`, {
  timeout: 60_000 + rounds * 10_000
}, async () => {
  await call("deploy_files", { files })
  await live(1)
  await set(2)
  await live(2)
  const visitors = load({
    port: platform.ports().appsPort,
    host: `${name}.localhost`,
    clients: 64
  })
  const slow: Array<Promise<string>> = []
  for (let number = 3; number < 3 + rounds; number += 1) {
    slow.push(platform.get(name, { path: "/slow" }).then(({ body }) => body, String))
    await deploy(number)
    const answered = visitors.count()
    await eventually("visitors are answered by it", () => visitors.count() > answered + 64)
  }
  const { bad, bodies, count, fewest, perSecond, slowestMs } = await visitors.stop()
  console.log(
    `${rounds} deployments, ${count} requests, ${Math.round(perSecond)} a second, in any five seconds at least ${fewest}, ` +
      `the slowest ${Math.round(slowestMs)} ms, ${bad.length} failures`
  )
  assert.deepStrictEqual(bad, [])
  assert.isAbove(count, rounds * 200)
  // A machine that does other things besides serves fewer in its worst moments.
  if (isAlone) assert.isAtLeast(wasBusy ? perSecond : fewest, 200)
  const versions = Array.from({ length: rounds + 1 }, (_, at) => at + 2)
  const served = versions.filter((number) => !isBack(number)).map((number) => `v${number}`)
  assert.sameMembers([...bodies], served)
  for (const body of await Promise.all(slow)) assert.match(body, /^(v\d+) begins, \1 ends$/u)
  assert.notMatch(platform.output(), /level=(ERROR|FATAL)/u)
})
