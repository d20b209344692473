import { spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import { parseSocketTable } from "@deploy-mcp/domain/node/SocketTable"
import { assert, describe, it } from "vitest"
import { listeningSockets } from "./ListeningSockets.ts"

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1 0 100 0 0 10 0
   2: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 13 1 0 20 4 30 10 -1
   3: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 14 1 0 100 0 0 10 0
   4: 0000000000000000FFFF00000100007F:1F92 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 15 1 0 100 0 0 10 0
   5: 00000000000000000000000000000000:1F93 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 16 1 0 100 0 0 10 0
`

describe("listening sockets", () => {
  it("are read from the kernel's table, with loopback told apart", () => {
    const found = parseSocketTable(table).map(({ loopback, port }) => [port, loopback])
    assert.deepStrictEqual(found, [
      [8080, true],
      [80, false],
      [8081, true],
      [8082, true],
      [8083, false]
    ])
  })
  it("are those of the process alone where others listen too", async () => {
    const server = createServer()
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
    const address = server.address()
    const port = typeof address === "object" ? address?.port : undefined
    const own = await listeningSockets(process.pid, false)
    assert.isTrue(own.some((socket) => socket.port === port && socket.loopback))
    const other = spawn("sleep", ["60"])
    await once(other, "spawn")
    assert.deepStrictEqual(await listeningSockets(other.pid ?? 0, false), [])
    other.kill()
    server.close()
  })
})
