/** What one caller may have under way at the doors, over real sockets. */
import { once } from "node:events"
import { createServer, request as httpRequest } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer, ManagedRuntime, Stream } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { afterEach, assert, describe, it } from "vitest"
import * as DoorLimits from "./DoorLimits.ts"

/** `/stream` begins an answer that does not end; anything else is answered at once. */
const routes = HttpRouter.use((router) =>
  Effect.gen(function* () {
    const endless = Stream.concat(Stream.succeed(new Uint8Array([1])), Stream.never)
    yield* router.add("GET", "/stream", HttpServerResponse.stream(endless))
    yield* router.add("GET", "/*", HttpServerResponse.text("here"))
  })
)

let close: () => Promise<void> = async () => {}
afterEach(() => close())

const start = async (limits: Partial<DoorLimits.DoorLimits>) => {
  const runtime = ManagedRuntime.make(
    HttpRouter.serve(Layer.merge(routes, DoorLimits.layer(limits)), {
      disableLogger: true,
      disableListenLog: true
    }).pipe(
      Layer.provideMerge(
        NodeHttpServer.layer(() => createServer(), {
          port: 0,
          host: "127.0.0.1",
          gracefulShutdownTimeout: 0
        })
      )
    )
  )
  close = () => runtime.dispose()
  const { address } = await runtime.runPromise(HttpServer.HttpServer)
  const port = "port" in address ? address.port : 0
  const send = async (path: string, key: string | null, localAddress = "127.0.0.1") => {
    const headers = key === null ? {} : { authorization: `Bearer ${key}` }
    const sent = httpRequest({ host: "127.0.0.1", port, path, headers, localAddress, agent: false })
    const [response] = await once(sent.end(), "response")
    return { sent, response }
  }
  return {
    /** One that stays under way until it is destroyed. */
    stream: async (key: string | null) => (await send("/stream", key)).sent,
    ask: async (key: string | null, path = "/", from?: string) => {
      const { response } = await send(path, key, from)
      let text = ""
      for await (const chunk of response) text += chunk
      return { status: response.statusCode, retryAfter: response.headers["retry-after"], text }
    }
  }
}

describe("requests under way", () => {
  it("are bounded for each key, until some of them are over", async () => {
    const { ask, stream } = await start({ perKey: 2 })
    const first = await stream("a")
    const second = await stream("a")
    const refused = await ask("a", "/api/v1/whoami")
    assert.deepStrictEqual([refused.status, refused.retryAfter], [429, "1"])
    const { error } = JSON.parse(refused.text)
    assert.deepInclude(error, { code: "rate_limited", retry_after: 1, retryable: true })
    const push = await ask("a", "/git/x/y.git/info/refs?service=git-receive-pack")
    assert.deepStrictEqual([push.status, push.retryAfter], [429, "1"])
    assert.match(push.text, /^This caller has 2 requests under way/u)
    assert.strictEqual((await ask("b")).text, "here")
    assert.strictEqual((await ask(null)).text, "here")

    first.destroy()
    let status = 0
    while (status !== 200) status = (await ask("a")).status
    second.destroy()
  })

  it("are bounded for each address without a key", async () => {
    const { ask, stream } = await start({ perAddress: 1 })
    const held = await stream(null)
    assert.strictEqual((await ask(null)).status, 429)
    assert.strictEqual((await ask(null, "/", "127.0.0.2")).text, "here")
    assert.strictEqual((await ask("a")).text, "here")
    held.destroy()
  })

  it("are bounded in all, for whoever makes keys up", async () => {
    const { ask, stream } = await start({ inAll: 2 })
    const held = [await stream("made-up-1"), await stream("made-up-2")]
    const refused = await ask("made-up-3")
    assert.deepStrictEqual([refused.status, refused.retryAfter], [503, "1"])
    assert.strictEqual(JSON.parse(refused.text).error.code, "unavailable")
    for (const each of held) each.destroy()
  })
})
