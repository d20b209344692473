/** A redeployment of the commit that is live: a new process of the same files takes over. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { program } from "../e2e/Samples.ts"
import { row } from "./Numbers.ts"
import { untilAnswers } from "./UntilAnswers.ts"
import { type Benchmark, cpuMeter, interleave, partsOf } from "./World.ts"

/** Each process answers with a number of its own. */
const files = program(`const own = require("node:crypto").randomUUID()
require("node:http").createServer((_, response) => response.end(own)).listen(process.env.PORT)
`)

export const redeploy: Benchmark = {
  id: "redeploy",
  run: async (world) => {
    const platform = await world.platform()
    const name = "redeployed"
    const tree = await platform.workTree()
    const url = await platform.api.repository(name)
    await platform.api.createService({ repo: name, name })
    await tree.commit(files)
    await tree.push(url)
    const where = { port: platform.ports().appsPort, host: `${name}.localhost` }
    let { body } = await untilAnswers({ ...where, accepts: () => true })

    const directory = join(world.floor.folder, name)
    mkdirSync(directory)
    for (const [file, text] of Object.entries(files)) writeFileSync(join(directory, file), text)

    const meter = cpuMeter(platform)
    const parts = partsOf()
    const once = async () => {
      const started = performance.now()
      await platform.api.redeploy(name)
      parts.add("accepted", performance.now() - started)
      const previous = body
      const answer = await untilAnswers({ ...where, accepts: (now) => now !== previous })
      body = answer.body
      for (const { phase, ms } of (await platform.api.ended(name)).phases) parts.add(phase, ms)
      return answer.at - started
    }
    const samples = await interleave(
      world.times(20),
      () => meter.during(once),
      async () => {
        const started = performance.now()
        const app = await world.floor.start(directory, "server.js")
        await app.stop()
        return app.readyAt - started
      }
    )
    await platform.api.remove(name)
    return [
      row({
        what: "redeploy without change",
        ...samples,
        floorIs: "start node until its first 200",
        budget: { p50: 300 },
        cpu: meter.each(),
        parts: parts.medians()
      })
    ]
  }
}
