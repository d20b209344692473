#!/usr/bin/env node
/**
 * `npm test [-- files and flags of vitest]`: the static checks and then every test. The last line is
 * `N passed, N failed, N skipped`. With CI=true or --strict a skip that test/skips.json does not name
 * with its reason is a failure.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { runChecks } from "./checks.mjs"
import { ensureInstalled, environmentWithNode, findNode, root, runMain } from "./project.mjs"

const main = async () => {
  const own = new Set(["--strict", "--verbose"])
  const args = process.argv.slice(2).filter((argument) => !own.has(argument))
  const strict = process.argv.includes("--strict") || /^(1|true)$/i.test(process.env.CI ?? "")
  await ensureInstalled({ verbose: process.argv.includes("--verbose") })
  const results = [...(await runChecks()), ...(await runVitest(args))]
  report(results, strict ? unexplained(results) : [])
}

const runVitest = async (args) => {
  const folder = mkdtempSync(path.join(tmpdir(), "deploy-mcp-test-"))
  try {
    const file = path.join(folder, "results.json")
    const node = findNode()
    const vitest = path.join(root, "node_modules/vitest/vitest.mjs")
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`]
    const code = await foreground(node, [vitest, "run", ...reporters, ...args])
    return resultsOf(file, code)
  } finally {
    rmSync(folder, { recursive: true, force: true })
    await endLeftOvers()
  }
}

const run = `run${process.pid}-`
/** How the names of the folders of platforms under test begin, which their processes are told. */
const home = `deploy-mcp-e2e-${run}`

/** What was started by tests that were cut off: an edge that is asked to end takes all of its own away. */
const endLeftOvers = async () => {
  const asked = new Set()
  for (const deadline = Date.now() + 20_000; ; await pause(100)) {
    const left = readdirSync("/proc").filter((name) => /^\d+$/u.test(name) && isLeftOver(name))
    if (left.length === 0) break
    const isLate = Date.now() > deadline
    for (const pid of left.filter((pid) => isLate || !asked.has(pid))) {
      ignoringGone(() => process.kill(Number(pid), isLate ? "SIGKILL" : "SIGTERM"))
      asked.add(pid)
    }
  }
  for (const name of readdirSync(tmpdir()).filter((name) => name.startsWith(home))) {
    rmSync(path.join(tmpdir(), name), { recursive: true, force: true })
  }
}

const isLeftOver = (pid) =>
  ignoringGone(() => readFileSync(`/proc/${pid}/environ`, "latin1"))?.includes(`/${home}`)

const ignoringGone = (act) => {
  try {
    return act()
  } catch {
    return undefined
  }
}

/** A terminal's Ctrl-C reaches vitest by itself; we only wait for it to clean up. */
const foreground = (node, args) =>
  new Promise((resolve, reject) => {
    const env = { ...environmentWithNode(node), TEST_RUN: run }
    const child = spawn(node, args, { cwd: root, env, stdio: "inherit" })
    process.on("SIGINT", () => {})
    process.on("SIGTERM", () => child.kill("SIGTERM"))
    child.on("error", reject)
    child.on("exit", (code, signal) => resolve(code ?? `signal ${signal}`))
  })

/** One result for each test, and one for each file that could not be loaded. */
const resultsOf = (file, code) => {
  let suites
  try {
    suites = JSON.parse(readFileSync(file, "utf8")).testResults
  } catch (error) {
    return [{ name: `vitest left no results (exit code ${code}, ${error.code})`, status: "failed" }]
  }
  const results = suites.flatMap((suite) => {
    const name = path.relative(root, suite.name)
    const tests = suite.assertionResults.map((test) => ({
      name: `${name} > ${test.fullName}`,
      status: statuses[test.status] ?? "failed"
    }))
    const unloaded = suite.status === "failed" && !tests.some(({ status }) => status === "failed")
    return unloaded ? [...tests, { name: `${name} (the file itself)`, status: "failed" }] : tests
  })
  // An error outside of any test, or no test at all: vitest says so with its exit code alone.
  const silent = code !== 0 && !results.some(({ status }) => status === "failed")
  return silent ? [...results, { name: `vitest (exit code ${code})`, status: "failed" }] : results
}

const statuses = { passed: "passed", pending: "skipped", skipped: "skipped", todo: "skipped" }

/** Skips that nobody gave a reason for. */
const unexplained = (results) => {
  const known = JSON.parse(readFileSync(path.join(root, "test/skips.json"), "utf8"))
  const reasons = new Map(known.map(({ test, reason }) => [test, reason]))
  return results.filter(({ name, status }) => status === "skipped" && !reasons.get(name))
}

const report = (results, unexplainedSkips) => {
  const named = (status) => results.filter((result) => result.status === status)
  console.log("")
  for (const { name } of named("skipped")) console.log(`skipped: ${name}`)
  for (const { name } of named("failed")) console.log(`failed: ${name}`)
  for (const { name } of unexplainedSkips) {
    console.log(`failed: "${name}" is skipped, and test/skips.json names no reason for it`)
  }
  const failed = named("failed").length + unexplainedSkips.length
  const skipped = named("skipped").length - unexplainedSkips.length
  if (failed > 0) process.exitCode = 1
  console.log(`${named("passed").length} passed, ${failed} failed, ${skipped} skipped`)
}

await runMain(main)
