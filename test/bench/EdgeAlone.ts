/** The edge as the platform starts it, told by us instead of control that programs are there. */
import { spawn } from "node:child_process"
import { existsSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { idOf, openControl } from "@deploy-mcp/edge/testing/EdgeHarness"
import { edgeFlags } from "@deploy-mcp/runtime/EdgeProcess"
import { eventually } from "../e2e/Eventually.ts"
import { freePort, root } from "../e2e/Platform.ts"
import { ended } from "./Floor.ts"
import { untilAnswers } from "./UntilAnswers.ts"

export interface EdgeAlone {
  readonly port: number
  readonly pid: number
  readonly stop: () => Promise<void>
}

/** Each host is a service of its own, whose release answers at `upstream`. */
export const startEdgeAlone = async (
  parent: string,
  hosts: ReadonlyArray<string>,
  upstream: number
): Promise<EdgeAlone> => {
  const home = join(parent, "edge")
  mkdirSync(home)
  const port = await freePort()
  const child = spawn(process.execPath, [...edgeFlags, join(root, "dist/edge.mjs")], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { PATH: process.env.PATH, DEPLOY_MCP_HOME: home, DEPLOY_MCP_APPS_PORT: String(port) }
  })
  await eventually("the edge has its socket", () => existsSync(join(home, "run/edge.sock")))
  const control = await openControl(home)
  await control.hello(1, port)
  const workload = { kind: "endpoint", host: "127.0.0.1", port: upstream } as const
  await control.snapshot(
    ...hosts.map((host, number) => ({
      stage: idOf<never>("stg", number),
      generation: 1,
      name: `service-${number}`,
      tenant: 0,
      hostnames: [host.slice(0, host.indexOf("."))],
      route: idOf<never>("rel", number),
      releases: [{ release: idOf<never>("rel", number), workload }]
    }))
  )
  const stop = async () => {
    control.close()
    child.kill("SIGTERM")
    await ended(child)
  }
  await untilAnswers({ port, host: hosts.at(-1) ?? "", accepts: () => true }).catch(
    async (error: unknown) => {
      await stop()
      throw error
    }
  )
  return { port, pid: child.pid ?? 0, stop }
}
