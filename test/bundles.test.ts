/** What a bundle does for its start besides being one file. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, it, onTestFinished } from "vitest"
import { eventually } from "./e2e/Eventually.ts"
import { bundles, root } from "./e2e/Platform.ts"

const tellsUndici = `data:text/javascript,process.on("SIGUSR2", () => {
  console.log("undici", process.moduleLoadList.some((name) => name.includes("undici")))
})`

it("keeps what was compiled although the process is killed, and loads no undici", async () => {
  await bundles()
  const folder = mkdtempSync(join(tmpdir(), "deploy-mcp-bundles-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const dist = join(folder, "dist")
  mkdirSync(dist)
  for (const file of ["edge.mjs", "edge.main.mjs"]) {
    copyFileSync(join(root, "dist", file), join(dist, file))
  }
  const edge = spawn(process.execPath, ["--import", tellsUndici, join(dist, "edge.mjs")], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env.PATH,
      DEPLOY_MCP_HOME: join(folder, "home"),
      DEPLOY_MCP_APPS_PORT: "0",
      DEPLOY_MCP_EGRESS: "none"
    }
  })
  onTestFinished(() => void edge.kill("SIGKILL"))
  let said = ""
  for (const stream of [edge.stdout, edge.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text
    })
  }
  await eventually(`it serves: ${said}`, () => said.includes("serves"))
  edge.kill("SIGUSR2")
  assert.include(await eventually("it tells", () => /undici .*/u.exec(said)?.[0]), "false")

  const size = statSync(join(dist, "edge.main.mjs")).size
  await eventually("compiled code is kept", () =>
    filesIn(join(dist, "cache")).some((file) => statSync(file).size > size / 4)
  )
  assert.isNull(edge.exitCode)
  edge.kill("SIGTERM")
  await once(edge, "exit")
})

const filesIn = (folder: string): ReadonlyArray<string> =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
    : []
