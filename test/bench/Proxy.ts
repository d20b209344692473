/** Requests a second through the edge, and straight to the same program. */
import { mkdirSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { program } from "../e2e/Samples.ts"
import { cpuOf } from "./Machine.ts"
import { median, row } from "./Numbers.ts"
import { untilAnswers } from "./UntilAnswers.ts"
import { type Benchmark, interleave } from "./World.ts"

const files = program(`require("node:http")
  .createServer((_, response) => response.end("hello"))
  .listen(process.env.PORT)
`)
const connections = 16
const burstMs = 1000

export const proxy: Benchmark = {
  id: "proxy",
  run: async (world) => {
    const platform = await world.platform()
    const name = "proxied"
    const tree = await platform.workTree()
    const url = await platform.api.repository(name)
    await platform.api.createService({ repo: name, name })
    await tree.commit(files)
    await tree.push(url)
    const ours = { port: platform.ports().appsPort, host: `${name}.localhost` }
    await untilAnswers({ ...ours, accepts: (body) => body === "hello" })
    await platform.api.ended(name)

    const directory = join(world.floor.folder, name)
    mkdirSync(directory)
    for (const [file, text] of Object.entries(files)) writeFileSync(join(directory, file), text)
    const app = await world.floor.start(directory, "server.js")
    const direct = { port: app.port, host: "localhost" }
    await burst(ours)
    await burst(direct)
    const edge = platform.pid("edge")
    const costs: Array<number> = []
    const samples = await interleave(
      Math.min(world.times(5), 10),
      async () => {
        const before = cpuOf(edge).own
        const count = await burst(ours)
        costs.push(((cpuOf(edge).own - before) * 1000) / count)
        return (count * 1000) / burstMs
      },
      async () => ((await burst(direct)) * 1000) / burstMs
    )
    await app.stop()
    await platform.api.remove(name)
    return [
      row({
        what: `reverse proxy, ${connections} connections`,
        unit: "req/s",
        ...samples,
        floorIs: "straight to the program",
        budget: { informational: true },
        parts: { "edge, microseconds of processor time a request": median(costs) }
      })
    ]
  }
}

/** Answered requests within the time, each connection asking one after the other. */
const burst = async ({ port, host }: { readonly port: number; readonly host: string }) => {
  const deadline = performance.now() + burstMs
  const request = `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`
  const one = () =>
    new Promise<number>((resolve, reject) => {
      let count = 0
      let seen = ""
      const socket = connect(port, "127.0.0.1", () => socket.write(request))
      socket.setEncoding("latin1").on("data", (text: string) => {
        seen += text
        if (!seen.endsWith("hello")) return
        if (!seen.startsWith("HTTP/1.1 200")) return void reject(new Error(seen))
        seen = ""
        count++
        if (performance.now() < deadline) socket.write(request)
        else socket.end(() => resolve(count))
      })
      socket.on("error", reject)
    })
  const counts = await Promise.all(Array.from({ length: connections }, one))
  return counts.reduce((sum, count) => sum + count, 0)
}
