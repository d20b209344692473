/**
 * For tests: edges in the network that this process was started in, told what to do line by line. It
 * also is the host around them: a resolver at 127.0.0.53 and a listener at all addresses.
 */
import { createSocket } from "node:dgram"
import { readdir } from "node:fs/promises"
import { createServer } from "node:net"
import { createInterface } from "node:readline"
import type { EgressPolicy } from "@deploy-mcp/domain/node/EgressPolicy"
import type { SandboxChoice } from "@deploy-mcp/domain/node/SandboxChoice"
import { namespacePrefix } from "./Network.ts"
import { mustRun } from "./Program.ts"
import { fetchText, openTestEdge, type TestEdge, type TestRun } from "./TestEdge.ts"

export type Order =
  | {
      readonly act: "open"
      readonly home: string
      readonly homeId: string
      readonly egress: EgressPolicy
      /** In front of PATH, so that a test can put a program of its own before the machine's. */
      readonly programs?: string
      /** The service's owner. Absent: the platform's own. */
      readonly tenant?: number
      /** Absent: the best that works. */
      readonly sandbox?: SandboxChoice
    }
  /** Runs code in a service of that edge and tells its value. */
  | { readonly act: "ask"; readonly homeId: string; readonly code: string }
  /** Runs a program as root in the network of the edge's service. */
  | { readonly act: "break in"; readonly homeId: string; readonly command: ReadonlyArray<string> }
  /** What the platform has said in the log of that edge's service. */
  | { readonly act: "said"; readonly homeId: string }
  | { readonly act: "close"; readonly homeId: string }

const evaluator = `
require("node:http").createServer(async (question, answer) => {
  const text = decodeURIComponent(question.url.slice(2))
  const value = await eval("(async () => {" + text + "})()").catch((error) => error.code ?? error.message)
  answer.end(JSON.stringify(value ?? null))
}).listen(process.env.PORT)
`

const edges = new Map<string, { readonly edge: TestEdge; readonly run: TestRun }>()

const edgeOf = (homeId: string) => {
  const found = edges.get(homeId)
  if (!found) throw new Error(`no edge ${homeId}`)
  return found
}

const carryOut = async (order: Order): Promise<unknown> => {
  switch (order.act) {
    case "open": {
      const path = process.env.PATH
      if (order.programs !== undefined) process.env.PATH = `${order.programs}:${path}`
      const edge = await openTestEdge(order).finally(() => {
        process.env.PATH = path
      })
      const run = await edge.run(evaluator, { tenant: order.tenant ?? 0 })
      edges.set(order.homeId, { edge, run })
      const endpoint = await run.healthy()
      return { notes: edge.processes.isolation.notes, endpoint }
    }
    case "ask": {
      const endpoint = await edgeOf(order.homeId).run.healthy()
      return JSON.parse(await fetchText(endpoint, `/?${encodeURIComponent(order.code)}`))
    }
    case "break in": {
      const { host } = await edgeOf(order.homeId).run.healthy()
      const all = await readdir("/run/netns")
      for (const name of all.filter((one) => one.startsWith(namespacePrefix(order.homeId)))) {
        const addresses = await mustRun("ip", ["-n", name, "-4", "-o", "address"])
        if (!addresses.includes(` ${host}/`)) continue
        return await mustRun("nsenter", [`--net=/run/netns/${name}`, ...order.command])
      }
      throw new Error(`no namespace has ${host}`)
    }
    case "said":
      return edgeOf(order.homeId).run.lines.filter((line) => line.startsWith("platform: "))
    case "close": {
      await edgeOf(order.homeId).edge.close()
      edges.delete(order.homeId)
      return null
    }
  }
}

/** Every name has one address. RFC 1035, 4.1: the question comes back with one answer behind it. */
const answerName = (question: Buffer): Buffer => {
  const end = question.indexOf(0, 12) + 5
  const answer = Buffer.concat([
    question.subarray(0, end),
    Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 93, 184, 216, 34])
  ])
  const wantsAddress = question.readUInt16BE(end - 4) === 1
  answer.writeUInt16BE(0x8180, 2)
  answer.writeUInt32BE(wantsAddress ? 0x00010001 : 0x00010000, 4)
  answer.writeUInt32BE(0, 8)
  return wantsAddress ? answer : answer.subarray(0, end)
}

const resolver = createSocket("udp4")
resolver.on("message", (question, from) =>
  resolver.send(answerName(question), from.port, from.address)
)
resolver.bind(53, "127.0.0.53")
createServer((socket) =>
  socket.on("data", (question: Buffer) => {
    const answer = answerName(question.subarray(2))
    const length = Buffer.alloc(2)
    length.writeUInt16BE(answer.length)
    socket.end(Buffer.concat([length, answer]))
  })
).listen(53, "127.0.0.53")
createServer((socket) => socket.end("the host")).listen(8081, "::")

createInterface({ input: process.stdin }).on("line", async (line) => {
  const told = await carryOut(JSON.parse(line)).then(
    (value) => ({ value }),
    (error: unknown) => ({ error: String(error) })
  )
  console.log(JSON.stringify(told))
})
