#!/usr/bin/env node
/**
 * `npm run chaos`: see test/chaos/Chaos.ts, which runs on the project's own Node.js. With `--kills N`: that
 * many kills of a real platform, see test/e2e/Kills.test.ts.
 */
import { spawn } from "node:child_process"
import path from "node:path"
import { ensureInstalled, environmentWithNode, findNode, root, runMain } from "./project.mjs"

await runMain(async () => {
  await ensureInstalled()
  const node = findNode()
  const [first, kills, ...others] = process.argv.slice(2)
  const isKills = first === "--kills" && /^[1-9]\d*$/u.test(kills ?? "") && others.length === 0
  const script = path.join(root, isKills ? "bin/test.mjs" : "test/chaos/Chaos.ts")
  const args = isKills ? ["test/e2e/Kills.test.ts"] : process.argv.slice(2)
  const child = spawn(node, [script, ...args], {
    stdio: "inherit",
    env: { ...environmentWithNode(node), ...(isKills ? { TEST_KILLS: kills } : {}) }
  })
  process.on("SIGINT", () => {})
  process.on("SIGTERM", () => child.kill("SIGTERM"))
  process.exitCode = await new Promise((resolve, reject) => {
    child.on("error", reject)
    child.on("exit", (code) => resolve(code ?? 1))
  })
})
