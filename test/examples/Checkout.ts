/**
 * A checkout as a reader has it: commands are typed into a shell in its folder, as they stand. Only the
 * two ports are others than the defaults, because other tests run at the same time.
 */
import { type ChildProcess, spawn } from "node:child_process"
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { eventually } from "../e2e/Eventually.ts"
import { endOf, freePort, type Ports, root } from "../e2e/Platform.ts"

export interface Ran {
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
}

export interface Checkout {
  readonly folder: string
  readonly ports: Ports
  /** Types a line and waits for its end. */
  readonly run: (line: string, env?: Readonly<Record<string, string>>) => Promise<Ran>
  /** Types a line and goes on when its output has this in it. */
  readonly start: (line: string, until: RegExp) => Promise<Started>
  /** What the line gives to Claude Code; its program is replaced by one that notes its arguments. */
  readonly claude: (line: string) => Promise<ReadonlyArray<string>>
  readonly write: (file: string, text: string) => void
  readonly dispose: () => void
}

export interface Started {
  readonly process: ChildProcess
  readonly output: () => string
}

export const makeCheckout = async (): Promise<Checkout> => {
  const world = mkdtempSync(join(realpathSync(tmpdir()), "deploy-mcp-examples-"))
  const folder = join(world, "checkout")
  const programs = join(world, "bin")
  const noted = join(world, "claude.json")
  const ports = { port: await freePort(), appsPort: await freePort() }
  for (const path of [folder, programs]) mkdirSync(path)
  // Services run as users of their own, and their files lie below.
  for (const path of [world, folder]) chmodSync(path, 0o711)
  for (const name of readdirSync(root)) {
    if (!name.startsWith(".")) symlinkSync(join(root, name), join(folder, name))
  }
  writeFileSync(
    join(programs, "claude"),
    `#!/usr/bin/env node
require("node:fs").writeFileSync(${JSON.stringify(noted)}, JSON.stringify(process.argv.slice(2)))
`,
    { mode: 0o755 }
  )

  const type = (line: string, env: Readonly<Record<string, string>> = {}): Started => {
    const typed = line.replaceAll("8081", `${ports.port}`).replaceAll("8080", `${ports.appsPort}`)
    const child = spawn("sh", ["-c", `exec ${typed}`], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...withoutSettings(process.env),
        PATH: `${programs}:${process.env.PATH}`,
        NO_COLOR: "1",
        DEPLOY_MCP_PORT: `${ports.port}`,
        DEPLOY_MCP_APPS_PORT: `${ports.appsPort}`,
        ...env
      }
    })
    let output = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text
    })
    return { process: child, output: () => output }
  }

  const run: Checkout["run"] = async (line, env) => {
    const { process: child, output } = type(line, env)
    let stderr = ""
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
    })
    await new Promise((resolve) => child.once("close", resolve))
    return { code: await endOf(child), stdout: output(), stderr }
  }

  return {
    folder,
    ports,
    run,
    start: async (line, until) => {
      const started = type(line)
      await eventually(`${line} says ${until}`, () => until.test(started.output()))
      return started
    },
    claude: async (line) => {
      const { code, stderr } = await run(line)
      if (code !== 0) throw new Error(`${line}: ${stderr}`)
      return JSON.parse(readFileSync(noted, "utf8"))
    },
    write: (file, text) => {
      mkdirSync(dirname(join(folder, file)), { recursive: true })
      writeFileSync(join(folder, file), text)
    },
    dispose: () => rmSync(world, { recursive: true, force: true })
  }
}

const withoutSettings = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^(DEPLOY_MCP_|npm_|INIT_CWD$)/u.test(name))
  )
