/**
 * The checkout itself: where it is, whether its packages are installed, which Node.js it runs on.
 * Plain JavaScript for Node.js 20 without any package, because it runs before there are any.
 */
import { spawn } from "node:child_process"
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import path from "node:path"
import { fileURLToPath } from "node:url"

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
export const dist = path.join(root, "dist")

/** A failure whose message is all that a person needs; printed without a stack. */
export class Problem extends Error {}

/** Runs `main`; a Problem becomes one clear line and exit code 1. */
export const runMain = async (main) => {
  try {
    if (Number(process.versions.node.split(".")[0]) < 20) {
      throw new Problem(`Node.js 20 or newer is needed; this is ${process.version}.`)
    }
    await main()
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    console.error(`deploy-mcp: ${error.message}`)
    process.exitCode = 1
  }
}

/** The project's own Node.js, or the running one when that is new enough to have node:sqlite. */
export const findNode = () => {
  const own = path.join(
    root,
    "node_modules",
    `node-${process.platform}-${process.arch}`,
    "bin/node"
  )
  if (existsSync(own)) return own
  if (Number(process.versions.node.split(".")[0]) >= 24) return process.execPath
  throw new Problem(
    `there is no Node.js 26 package for ${process.platform}-${process.arch}, and the Node.js that runs ` +
      `this is ${process.version}. Install Node.js 24 or newer and start again with it.`
  )
}

/** The environment in which `node` means the project's Node.js, for children that look on PATH. */
export const environmentWithNode = (node) => ({
  ...process.env,
  PATH: [path.dirname(node), process.env.PATH ?? "/usr/bin:/bin"].join(path.delimiter)
})

/** Runs `npm ci` when node_modules is missing or differs from the lockfile. Safe to run twice at once. */
export const ensureInstalled = async ({ verbose = false } = {}) => {
  if (staleness() === undefined) return
  const release = await lock(path.join(dist, "install.lock"))
  try {
    const why = staleness()
    if (why === undefined) return
    console.error(`deploy-mcp: running npm ci in ${root}, because ${why}`)
    await npm(["ci", "--include=dev", "--include=optional", "--ignore-scripts"], { verbose })
  } finally {
    release()
  }
}

/** Runs npm in the project's folder; its output is shown only with `verbose` or when it fails. */
export const npm = async (args, { verbose = false } = {}) => {
  const command = process.env.npm_execpath?.endsWith("npm-cli.js")
    ? [process.env.npm_node_execpath ?? process.execPath, process.env.npm_execpath]
    : ["npm"]
  const quiet = ["--no-audit", "--no-fund", ...(verbose ? [] : ["--loglevel=error"])]
  const { code, output } = await run([...command, ...args, ...quiet], {
    cwd: root,
    env: environmentOfNpm(),
    show: verbose
  })
  if (code === 0) return
  if (!verbose) console.error(excerpt(output))
  throw new Problem(
    code === 127
      ? "npm was not found; install it (it comes with Node.js) and start again."
      : `npm ${args[0]} failed (exit code ${code}), so the project's packages are not complete. The lines ` +
          "above say why; check the network and the free disk space, then start again."
  )
}

/** npm explains itself first and prints its manual afterwards. */
const excerpt = (output) => {
  const lines = output.trim().split("\n")
  const more = lines.length > 15 ? [`… ${lines.length - 15} more lines with --verbose`] : []
  return [...lines.slice(0, 15), ...more].map((line) => `  npm | ${line}`).join("\n")
}

/** Runs a program to its end and collects what it prints. Code 127: there is no such program. */
export const run = ([command, ...args], { cwd = root, env = process.env, show = false } = {}) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text
        if (show) process.stderr.write(text)
      })
    }
    child.on("error", (error) =>
      resolve({ code: error.code === "ENOENT" ? 127 : 126, output: `${output}${error.message}\n` })
    )
    child.on("close", (code, signal) => resolve({ code: code ?? `signal ${signal}`, output }))
  })

/** Why node_modules must be made anew; undefined when it is as the lockfile says. */
const staleness = () => {
  const wanted = JSON.parse(readFileSync(path.join(root, "package-lock.json"), "utf8")).packages
  let installed
  try {
    // npm writes this file last, so a broken installation does not have it.
    const hidden = path.join(root, "node_modules/.package-lock.json")
    installed = JSON.parse(readFileSync(hidden, "utf8")).packages
  } catch {
    return "its packages are not installed yet"
  }
  for (const [name, entry] of Object.entries(wanted)) {
    if (!name.startsWith("node_modules/")) continue
    const found = installed[name]
    // npm leaves packages for other platforms out; only they may be absent.
    if (found === undefined ? entry.optional || entry.peer : found.version === entry.version)
      continue
    return `${name.slice("node_modules/".length)} is not what package-lock.json asks for`
  }
  return undefined
}

/** npm itself must not run on the Node.js that it is about to replace. */
const environmentOfNpm = () => {
  const inside = path.join(root, "node_modules") + path.sep
  const folders = (process.env.PATH ?? "/usr/bin:/bin").split(path.delimiter)
  return {
    ...process.env,
    NODE_ENV: "",
    PATH: folders
      .filter((folder) => !`${folder}${path.sep}`.startsWith(inside))
      .join(path.delimiter)
  }
}

/** Waits for its turn; a lock whose holder is dead is taken over. */
const lock = async (file) => {
  const mine = `${file}.${process.pid}`
  try {
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(mine, String(process.pid))
  } catch (error) {
    throw new Problem(`cannot write to ${path.dirname(file)} (${error.code}).`)
  }
  try {
    for (let told = false; ; told = true) {
      try {
        // A link appears with its content, so a lock always names its holder.
        linkSync(mine, file)
        return () => rmSync(file, { force: true })
      } catch (error) {
        if (error.code !== "EEXIST") throw error
      }
      const holder = Number(readIfThere(file))
      if (!told) console.error(`deploy-mcp: waiting for another installation (process ${holder})`)
      if (holder > 0 && !isAlive(holder)) rmSync(file, { force: true })
      else await new Promise((resolve) => setTimeout(resolve, 100))
    }
  } finally {
    rmSync(mine, { force: true })
  }
}

const readIfThere = (file) => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return ""
  }
}

const isAlive = (pid) => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === "EPERM"
  }
}
