/** The command line, as its bundle is, beside a platform. */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { type Platform, root } from "./Platform.ts"

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export const runCli = (
  platform: Platform,
  args: ReadonlyArray<string>,
  cwd: string,
  env: Readonly<Record<string, string>> = {}
): Promise<Ran> =>
  new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [join(root, "dist/cli.mjs"), ...args],
      {
        cwd,
        env: {
          PATH: process.env.PATH,
          HOME: platform.folder,
          NO_COLOR: "1",
          GIT_CONFIG_GLOBAL: "/dev/null",
          DEPLOY_MCP_HOME: platform.home,
          DEPLOY_MCP_PORT: String(platform.ports().port),
          ...env
        }
      },
      (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr })
    )
  })
