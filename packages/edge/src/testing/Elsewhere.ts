/** The sample app, run by the test instead of the edge: what an endpoint leads to. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import type { EndpointWorkload, ReleaseSpec } from "@deploy-mcp/domain/node/NodeProtocol"
import { askEdge, endpointRelease, eventually } from "./EdgeHarness.ts"

export interface Elsewhere {
  readonly to: EndpointWorkload
  /** The release of this number, answered here. */
  readonly as: (number: number) => ReleaseSpec
  readonly stop: () => Promise<void>
  /** Once more, at the same port. */
  readonly start: () => Promise<void>
}

/** To be stopped by whoever starts it. */
export const startElsewhere = async (name: string): Promise<Elsewhere> => {
  const port = await freePort()
  const to = { kind: "endpoint", host: "127.0.0.1", port } as const
  let child: ChildProcess | null = null
  const stop = async () => {
    if (child === null) return
    const ended = once(child, "exit")
    child.kill("SIGKILL")
    child = null
    await ended
  }
  const start = async () => {
    child = spawn(process.execPath, ["SampleApp.mjs"], {
      cwd: import.meta.dirname,
      env: { NAME: name, PORT: String(port) },
      stdio: "ignore"
    })
    await eventually(`${name} answers`, () => answersAt(port))
  }
  await start()
  return { to, as: (number) => endpointRelease(number, to), start, stop }
}

const answersAt = async (port: number): Promise<boolean> =>
  (await askEdge(port, "/").catch(() => null)) !== null

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  return typeof address === "object" && address !== null ? address.port : 0
}
