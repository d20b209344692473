#!/usr/bin/env node
/**
 * `npm run chaos`: see test/chaos/Chaos.ts, which runs on the project's own Node.js. With `--kills N`,
 * `--takeovers N` or `--away SECONDS` real platforms are killed, taken over or left without control;
 * `--report` after it puts what came of that into docs/chaos.json.
 */
import { spawn } from "node:child_process"
import path from "node:path"
import {
  ensureInstalled,
  environmentWithNode,
  findNode,
  Problem,
  root,
  runMain
} from "./project.mjs"

const tests = {
  "--kills": { file: "test/e2e/Kills.test.ts", variable: "TEST_KILLS" },
  "--takeovers": { file: "test/e2e/Takeover.test.ts", variable: "TEST_TAKEOVERS" },
  "--away": { file: "test/e2e/Upgrade.test.ts", variable: "TEST_AWAY_SECONDS" }
}

await runMain(async () => {
  await ensureInstalled()
  const node = findNode()
  const [name, number = "", report, ...others] = process.argv.slice(2)
  const known = others.length === 0 && (report === undefined || report === "--report")
  const real = known && /^[1-9]\d*$/u.test(number) ? tests[name] : undefined
  if (name in tests && !real) {
    throw new Problem(`${name} takes a whole number above 0, and nothing but --report after it.`)
  }
  const variables = real && { [real.variable]: number, TEST_REPORT: String(report !== undefined) }
  const script = path.join(root, real ? "bin/test.mjs" : "test/chaos/Chaos.ts")
  const child = spawn(node, [script, ...(real ? [real.file] : process.argv.slice(2))], {
    stdio: "inherit",
    env: { ...environmentWithNode(node), ...variables }
  })
  process.on("SIGINT", () => {})
  process.on("SIGTERM", () => child.kill("SIGTERM"))
  process.exitCode = await new Promise((resolve, reject) => {
    child.on("error", reject)
    child.on("exit", (code) => resolve(code ?? 1))
  })
})
