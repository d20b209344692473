/** `npm start` as its own process, without npm: from the launcher until it is ready. */
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { freePort, root } from "../e2e/Platform.ts"
import { ended } from "./Floor.ts"
import { untilAnswers } from "./UntilAnswers.ts"

export interface Launched {
  readonly port: number
  readonly key: string
  /** Milliseconds from the start of the launcher until `/readyz` answered 200. */
  readonly readyMs: number
  readonly pid: (which: "control" | "edge") => number
  readonly stop: () => Promise<void>
}

/** On a new home, which goes with `stop`. */
export const launch = async (parent: string): Promise<Launched> => {
  const home = mkdtempSync(join(parent, "home-"))
  const port = await freePort()
  const appsPort = await freePort()
  const started = performance.now()
  const child = spawn(process.execPath, [join(root, "bin/deploy-mcp.mjs"), "up"], {
    stdio: "ignore",
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      DEPLOY_MCP_HOME: home,
      DEPLOY_MCP_PORT: String(port),
      DEPLOY_MCP_APPS_PORT: String(appsPort)
    }
  })
  const { at } = await untilAnswers({
    port,
    host: "localhost",
    path: "/readyz",
    accepts: () => true
  })
  return {
    port,
    key: readFileSync(join(home, "owner-key"), "utf8").trim(),
    readyMs: at - started,
    pid: (which) => Number(readFileSync(join(home, "run", `${which}.pid`), "utf8")),
    stop: async () => {
      child.kill("SIGTERM")
      await ended(child)
      rmSync(home, { recursive: true, force: true })
    }
  }
}
