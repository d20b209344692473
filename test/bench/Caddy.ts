/** The reverse proxy that ours is measured against, with a route of its own for every host. */
import { execFileSync, spawn } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { freePort } from "../e2e/Platform.ts"
import { ended } from "./Floor.ts"
import { untilAnswers } from "./UntilAnswers.ts"

export interface Caddy {
  readonly port: number
  readonly pid: number
  readonly stop: () => Promise<void>
}

/** null: it is not installed. */
export const caddyVersion = (): string | null => {
  try {
    return execFileSync("caddy", ["version"], { encoding: "utf8" }).trim().split(" ")[0] ?? ""
  } catch {
    return null
  }
}

/** Neither TLS, nor an access log, nor its administration: it only proxies. */
export const startCaddy = async (
  parent: string,
  hosts: ReadonlyArray<string>,
  upstream: number
): Promise<Caddy> => {
  const folder = join(parent, "caddy")
  mkdirSync(folder)
  const port = await freePort()
  const route = (host: string) => ({
    match: [{ host: [host] }],
    handle: [{ handler: "reverse_proxy", upstreams: [{ dial: `127.0.0.1:${upstream}` }] }],
    terminal: true
  })
  const server = {
    listen: [`127.0.0.1:${port}`],
    automatic_https: { disable: true },
    routes: hosts.map(route)
  }
  const config = join(folder, "config.json")
  writeFileSync(
    config,
    JSON.stringify({
      admin: { disabled: true },
      logging: { logs: { default: { level: "ERROR" } } },
      apps: { http: { servers: { hosts: server } } }
    })
  )
  const child = spawn("caddy", ["run", "--config", config], {
    stdio: "ignore",
    env: { PATH: process.env.PATH, HOME: folder }
  })
  const stop = async () => {
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
