#!/usr/bin/env node
/** `npm run chaos`: see test/chaos/Chaos.ts, which runs on the project's own Node.js. */
import { spawn } from "node:child_process"
import path from "node:path"
import { ensureInstalled, environmentWithNode, findNode, root, runMain } from "./project.mjs"

await runMain(async () => {
  await ensureInstalled()
  const node = findNode()
  const script = path.join(root, "test/chaos/Chaos.ts")
  const child = spawn(node, [script, ...process.argv.slice(2)], {
    stdio: "inherit",
    env: environmentWithNode(node)
  })
  process.on("SIGINT", () => {})
  process.on("SIGTERM", () => child.kill("SIGTERM"))
  process.exitCode = await new Promise((resolve, reject) => {
    child.on("error", reject)
    child.on("exit", (code) => resolve(code ?? 1))
  })
})
