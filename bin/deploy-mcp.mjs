#!/usr/bin/env node
/**
 * The one command. It needs Node.js 20, npm and nothing else: it installs the project's packages,
 * makes the bundles and then hands over to the project's own Node.js.
 */
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import path from "node:path"
import { bundle, ensureBundles } from "./bundle.mjs"
import { ensureInstalled, findNode, Problem, runMain } from "./project.mjs"

/** Small heaps for small processes: less garbage is kept around in exchange for a little time. */
const nodeFlags = ["--max-semi-space-size=4", "--disable-warning=ExperimentalWarning"]

/** npm and terminals both signal a whole group; repeats within this many milliseconds are one wish. */
const sameWish = 1000

await runMain(async () => {
  const verbose = process.argv.includes("--verbose")
  const args = process.argv.slice(2).filter((argument) => argument !== "--verbose")
  await ensureInstalled({ verbose })
  await ensureBundles()
  const isStart = args[0] === "up" && !args.includes("--help") && !args.includes("-h")
  const script = bundle(isStart ? "control" : "cli")
  if (!existsSync(script)) throw new Problem(`${script} is missing; the checkout is not complete.`)
  handOver(findNode(), [...nodeFlags, script, ...(isStart ? args.slice(1) : args)], {
    ...process.env,
    ...(isStart
      ? { DEPLOY_MCP_HOME: path.resolve(process.env.DEPLOY_MCP_HOME || ".deploy-mcp") }
      : {}),
    DEPLOY_MCP_CONTROL: bundle("control"),
    DEPLOY_MCP_EDGE: bundle("edge")
  })
})

/** Becomes the program where Node.js can do that; else runs it, passing on signals and exit code. */
function handOver(node, args, env) {
  if (typeof process.execve === "function" && Number(process.versions.node.split(".")[0]) >= 24) {
    process.execve(node, [node, ...args], env)
  }
  // In its own group, so that a terminal's Ctrl-C reaches it only through us, and once.
  const child = spawn(node, args, { env, stdio: "inherit", detached: true })
  let forwardedAt = Number.NEGATIVE_INFINITY
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      if (performance.now() - forwardedAt < sameWish) return
      forwardedAt = performance.now()
      // A closed terminal is a wish to stop in order, which a hang-up alone would not do.
      child.kill(signal === "SIGHUP" ? "SIGTERM" : signal)
    })
  }
  child.on("error", (error) => {
    console.error(`deploy-mcp: ${node} cannot be run (${error.message}).`)
    process.exitCode = 1
  })
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}
