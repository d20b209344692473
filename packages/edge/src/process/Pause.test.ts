/** What ends too often is not started any more, and says how to go on. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { fetchText, leftovers, openTestEdge, type TestEdge } from "./TestEdge.ts"

const mortal = `require("node:http").createServer((question, answer) =>
  question.url === "/die" ? process.exit(1) : answer.end("up")).listen(process.env.PORT)`

let edge: TestEdge
beforeAll(async () => {
  edge = await openTestEdge({
    backoff: { first: 20, longest: 200, stable: 60_000, pauseAfter: 3 }
  })
})
afterAll(async () => {
  await edge.close()
  assert.deepStrictEqual(await leftovers(edge.homeId), [])
})

describe("a live process that ends three times, where that is too often", () => {
  it("is paused, and its log says how to resume", async () => {
    const { lines, process, until } = await edge.run(mortal)
    for (let end = 0; end < 3; end++) {
      const { endpoint } = await until(
        (state) => state.state === "healthy" && state.restarts === end
      )
      if (endpoint) await fetchText(endpoint, "/die").catch(() => {})
    }
    const { endpoint, failure, restarts } = await until(({ state }) => state === "failed")
    assert.deepStrictEqual([endpoint, failure?.code, restarts], [null, "paused", 2])
    assert.match(
      failure?.cause ?? "",
      /^The process ended 3 times within ten minutes and is not started any more\. .*exit code 1/u
    )
    assert.match(lines.join("\n"), /platform: .*It is paused\. To resume: .*redeploy_service/u)
    await process.stop(0)
  })

  it("is a worker, which then stands still alone", async () => {
    const { line, lines, worker } = await edge.work(`console.log("a job"); process.exit(3)`)
    await line(/It is paused/)
    assert.lengthOf(
      lines.filter((text) => text === "stdout: a job"),
      3
    )
    await worker.stop(0)
  })
})
