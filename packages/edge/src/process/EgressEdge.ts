/** For tests: an edge in a world of its own, and the rules around it with some taken away. */
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import type { EgressPolicy } from "@deploy-mcp/domain/node/EgressPolicy"
import type { SandboxChoice } from "@deploy-mcp/domain/node/SandboxChoice"
import type { EgressWorld } from "./EgressWorld.ts"

interface Opened {
  readonly notes: ReadonlyArray<string>
  readonly endpoint: { readonly host: string; readonly port: number }
}

export interface EgressEdgeOptions {
  readonly homeId?: string
  /** In front of the machine's own. */
  readonly programs?: string
  readonly tenant?: number
  readonly sandbox?: SandboxChoice
}

/** An edge of the world's host with one service. */
export const openEgressEdge = async (
  world: EgressWorld,
  egress: EgressPolicy,
  { homeId = randomBytes(4).toString("hex"), ...more }: EgressEdgeOptions = {}
) => {
  const opened = await world.tell<Opened>({
    act: "open",
    home: join(world.folder, homeId),
    homeId,
    egress,
    ...more
  })
  const ask = (code: string) => world.tell<unknown>({ act: "ask", homeId, code })
  return {
    ...opened,
    homeId,
    table: `deploy-mcp-${homeId}`,
    notes: opened.notes.join("\n"),
    ask,
    call: (host: string, port = 80) => ask(callCode(host, port, 400)),
    /** For what should succeed. */
    reach: (host: string, port = 80) => ask(callCode(host, port, 5000)),
    breakIn: (...command: ReadonlyArray<string>) =>
      world.tell<string>({ act: "break in", homeId, command }),
    said: () => world.tell<ReadonlyArray<string>>({ act: "said", homeId }),
    close: () => world.tell({ act: "close", homeId })
  }
}
export type EgressEdge = Awaited<ReturnType<typeof openEgressEdge>>

/** What the other side says, or why it can't be asked. */
const callCode = (host: string, port: number, patience: number) => `
  return await new Promise((resolve) => {
    const socket = require("node:net").connect({ host: "${host}", port: ${port} })
    let said = ""
    setTimeout(() => (socket.destroy(), resolve("silence")), ${patience})
    socket.on("data", (chunk) => { said += chunk })
    socket.once("close", () => resolve(said))
    socket.once("error", (error) => resolve(error.code))
  })`

/** Takes rules of a chain away while something is tried: what only they refuse must then pass. */
export const withoutRules = async <A>(
  { host }: EgressWorld,
  table: string,
  chain: string,
  unwanted: ReadonlyArray<RegExp>,
  attempt: () => Promise<A>
): Promise<A> => {
  const text = await host("nft", "-a", "list", "chain", "inet", table, chain)
  const rules = text.split("\n").flatMap((line) => {
    const [, words = "", handle = ""] = /^\s*(.*) # handle (\d+)$/.exec(line) ?? []
    return words === "" || words.startsWith("chain") ? [] : [{ words, handle }]
  })
  for (const pattern of unwanted) {
    const [found, ...more] = rules.filter(({ words }) => pattern.test(words))
    if (!found || more.length > 0) throw new Error(`not exactly one ${pattern} in ${text}`)
    await host("nft", "delete", "rule", "inet", table, chain, "handle", found.handle)
  }
  try {
    return await attempt()
  } finally {
    await host("nft", "flush", "chain", "inet", table, chain)
    for (const { words } of rules) await host("nft", "add", "rule", "inet", table, chain, words)
  }
}

/** A question for the address of api.test, as RFC 1035 sends it over TCP. */
export const nameOverTcp = `
return await new Promise((resolve) => {
  const body = Buffer.concat([
    Buffer.from([0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    Buffer.from("\\x03api\\x04test\\x00", "latin1"),
    Buffer.from([0, 1, 0, 1])
  ])
  const settings = require("node:fs").readFileSync("/etc/resolv.conf", "utf8")
  const socket = require("node:net").connect(53, /nameserver (\\S+)/.exec(settings)[1])
  socket.once("error", (error) => resolve(error.code))
  socket.once("data", (answer) => resolve([...answer.subarray(-4)].join(".")))
  socket.write(Buffer.concat([Buffer.from([0, body.length]), body]))
})`
