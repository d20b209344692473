import { once } from "node:events"
import { createServer, type IncomingMessage, request } from "node:http"
import { type AddressInfo, connect, createServer as createPlain, type Server } from "node:net"
import { assert, describe, it, onTestFinished } from "vitest"
import { openProxy } from "./EgressProxy.ts"
import type { Judge } from "./Judge.ts"

const listening = async (server: Server): Promise<number> => {
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** Everything that is called `service.test` is at this machine; nothing else is anywhere. */
const judge: Judge = async (host) =>
  host === "service.test"
    ? { addresses: [{ address: "127.0.0.1", family: 4 }] }
    : { refused: `${host} is private` }

const open = async () => {
  const refused: Array<string> = []
  const proxy = openProxy(judge, (sentence) => refused.push(sentence))
  const listener = createPlain()
  const port = await listening(listener)
  proxy.serve(listener)
  onTestFinished(proxy.close)
  return { proxy, port, refused }
}

const body = async (message: IncomingMessage) => {
  let text = ""
  for await (const chunk of message.setEncoding("utf8")) text += chunk
  return text
}

const tunnel = async (port: number, place: string) => {
  const asking = request({ port, method: "CONNECT", path: place }).end()
  const [response, socket] = await once(asking, "connect")
  return { status: response.statusCode, socket }
}

describe("the proxy of a step", () => {
  it("forwards a request whole, without what is about one connection", async () => {
    const seen: Array<string> = []
    const service = createServer(async (incoming, response) => {
      seen.push(`${incoming.method} ${incoming.url}`, ...incoming.rawHeaders, await body(incoming))
      response.writeHead(201, { "x-mine": "yes", connection: "x-hop, close", "x-hop": "1" })
      response.end("made")
    })
    const at = await listening(service)
    const { port } = await open()
    const asking = request({
      port,
      method: "PUT",
      path: `http://service.test:${at}/a?b=c`,
      headers: { "proxy-authorization": "x", "x-own": "1", connection: "x-drop", "x-drop": "1" }
    })
    asking.end("hello")
    const [response] = await once(asking, "response")
    assert.strictEqual(await body(response), "made")
    assert.strictEqual(response.statusCode, 201)
    assert.strictEqual(response.headers["x-mine"], "yes")
    assert.notProperty(response.headers, "x-hop")
    assert.strictEqual(seen[0], "PUT /a?b=c")
    assert.strictEqual(seen.at(-1), "hello")
    assert.include(seen, `service.test:${at}`)
    assert.include(seen, "x-own")
    for (const name of ["proxy-authorization", "x-drop"]) assert.notInclude(seen, name)
  })

  it("carries a tunnel both ways, and its end", async () => {
    const at = await listening(createPlain((socket) => socket.pipe(socket)))
    const { port, proxy } = await open()
    const { status, socket } = await tunnel(port, `service.test:${at}`)
    assert.strictEqual(status, 200)
    socket.write("echo")
    assert.strictEqual(String((await once(socket, "data"))[0]), "echo")
    const gone = once(socket, "close")
    proxy.close()
    socket.on("error", () => {})
    await gone
  })

  it("refuses with a sentence what may not be called, and says so", async () => {
    const { port, refused } = await open()
    const { status } = await tunnel(port, "10.0.0.1:443")
    assert.strictEqual(status, 403)
    const asking = request({ port, path: "http://[fd00::1]/" }).end()
    const [response] = await once(asking, "response")
    assert.strictEqual(response.statusCode, 403)
    assert.include(await body(response), "fd00::1 is private")
    assert.deepStrictEqual(refused, [
      "Refused to the build: 10.0.0.1 is private.",
      "Refused to the build: fd00::1 is private."
    ])
  })

  it("survives what is no request for it", async () => {
    const { port } = await open()
    for (const path of ["/", "https://service.test/", "ftp://service.test/", "http://"]) {
      const [response] = await once(request({ port, path }).end(), "response")
      assert.strictEqual(response.statusCode, 400)
    }
    for (const place of ["service.test", "service.test:0", "service.test:99999"]) {
      assert.strictEqual((await tunnel(port, place)).status, 400)
    }
    assert.strictEqual((await tunnel(port, "service.test:1")).status, 502)
    const socket = connect(port, "127.0.0.1").end("nonsense\r\n\r\n")
    socket.on("error", () => {}).resume()
    await once(socket, "close")
    assert.strictEqual((await tunnel(port, "10.0.0.1:443")).status, 403)
  })
})
