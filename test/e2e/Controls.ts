/** Further control processes on the home and the database of a platform. */
import type { ChildProcess } from "node:child_process"
import { type Api, apiOf } from "./Api.ts"
import { eventually } from "./Eventually.ts"
import { endOf, freePort, type Platform, type Ports, spawnControl } from "./Platform.ts"

export interface Control {
  readonly port: number
  readonly child: ChildProcess
  readonly output: () => string
  readonly api: Api
}

export interface Controls {
  readonly spawned: (ports: Ports, home?: string) => Control
  /** One that waits for its turn. */
  readonly standby: () => Promise<Control>
  /** Kills all of them. */
  readonly dispose: () => Promise<void>
}

/** `env` is that of the platform. */
export const controlsOf = (platform: Platform, env: Readonly<Record<string, string>>): Controls => {
  const started: Array<ChildProcess> = []
  const spawned = (ports: Ports, home = platform.home): Control => {
    const child = spawnControl(home, ports, env)
    started.push(child)
    let output = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        output += text
      })
    }
    const api = apiOf(() => `http://127.0.0.1:${ports.port}`, platform.key)
    return { port: ports.port, child, output: () => output, api }
  }
  return {
    spawned,
    standby: async () => {
      const { appsPort } = platform.ports()
      const control = spawned({ port: await freePort(), appsPort })
      await eventually("it stands by", () => control.output().includes("Standing by"))
      return control
    },
    dispose: async () => {
      for (const child of started) child.kill("SIGKILL")
      await Promise.all(started.map(endOf))
    }
  }
}
