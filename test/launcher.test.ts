/** bin/deploy-mcp.mjs in a copy of the project with small placeholders for the programs it starts. */
import { type ChildProcess, spawn } from "node:child_process"
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, assert, beforeEach, describe, it } from "vitest"

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))

/** As on a Node.js that cannot replace itself by another program. */
const withoutExecve = ["--import", "data:text/javascript,delete process.execve"]

const control = `
let signals = 0
const note = (signal: string) => {
  console.log("got", signal)
  if (++signals === 1) setTimeout(() => process.exit(41), 300)
}
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, note)
setInterval(() => {}, 60_000)
console.log("started", process.env.DEPLOY_MCP_HOME, process.env.DEPLOY_MCP_EDGE)
`
const cli = `console.log("cli", ...process.argv.slice(2))
if (process.argv[2] === "fail") process.exitCode = 7
`

let project: string
let children: Array<ChildProcess> = []

beforeEach(() => {
  project = realpathSync(mkdtempSync(path.join(tmpdir(), "deploy-mcp-launcher-")))
  for (const part of ["bin", "package.json", "package-lock.json"]) {
    cpSync(path.join(root, part), path.join(project, part), { recursive: true })
  }
  symlinkSync(path.join(root, "node_modules"), path.join(project, "node_modules"))
  write("packages/runtime/src/control.ts", control)
  write("packages/runtime/src/cli/main.ts", cli)
  write("packages/edge/src/main.ts", "console.log('edge')\n")
})

afterEach(() => {
  for (const child of children) child.kill("SIGKILL")
  children = []
  rmSync(project, { recursive: true, force: true })
})

const write = (file: string, text: string) => {
  mkdirSync(path.dirname(path.join(project, file)), { recursive: true })
  writeFileSync(path.join(project, file), text)
}

interface Options {
  readonly script?: string
  readonly flags?: ReadonlyArray<string>
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

const start = (args: ReadonlyArray<string>, options: Options = {}) => {
  const {
    script = path.join(project, "bin/deploy-mcp.mjs"),
    flags = [],
    cwd = project,
    env
  } = options
  const { DEPLOY_MCP_HOME: _, npm_execpath: __, ...inherited } = process.env
  const child = spawn(process.execPath, [...flags, script, ...args], {
    cwd,
    env: { ...inherited, ...env },
    stdio: ["ignore", "pipe", "pipe"]
  })
  children.push(child)
  const text = { stdout: "", stderr: "" }
  child.stdout.on("data", (chunk) => {
    text.stdout += chunk
  })
  child.stderr.on("data", (chunk) => {
    text.stderr += chunk
  })
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
    child.on("close", (code) => resolve({ code, ...text }))
  )
  /** Resolves when `words` have been printed. */
  const printed = (words: string) =>
    new Promise<void>((resolve) => {
      const look = () => text.stdout.includes(words) && resolve()
      child.stdout.on("data", look)
      look()
    })
  return { child, ended, printed }
}

describe("the launcher", () => {
  it("hands arguments and exit code through, from any folder and through a link", async () => {
    const link = path.join(project, "link")
    symlinkSync(path.join(project, "bin/deploy-mcp.mjs"), link)
    for (const flags of [[], withoutExecve]) {
      const good = await start(["services", "--json"], { script: link, cwd: tmpdir(), flags }).ended
      assert.deepStrictEqual([good.code, good.stdout], [0, "cli services --json\n"], good.stderr)
      assert.strictEqual((await start(["fail"], { flags }).ended).code, 7)
    }
  })

  it("bundles once, again when a source has changed, and survives two starts at once", async () => {
    const both = await Promise.all([start(["a"]).ended, start(["b"]).ended])
    assert.deepStrictEqual(
      both.map(({ stdout }) => stdout),
      ["cli a\n", "cli b\n"]
    )
    const bundle = path.join(project, "dist/cli.main.mjs")
    const madeAt = statSync(bundle).mtimeMs
    await start(["c"]).ended
    assert.strictEqual(statSync(bundle).mtimeMs, madeAt)
    write("packages/runtime/src/cli/main.ts", cli.replace('"cli"', '"changed"'))
    assert.strictEqual((await start(["d"]).ended).stdout, "changed d\n")
    const left = readdirSync(path.join(project, "dist")).filter((name) => name !== "cache")
    assert.deepStrictEqual(left.sort(), [
      "bundle.sha256",
      ...["cli", "control", "edge"].flatMap((name) => [`${name}.main.mjs`, `${name}.mjs`])
    ])
  })

  it("names the line that cannot be bundled", async () => {
    write("packages/edge/src/main.ts", "const = 1\n")
    const { code, stderr } = await start(["services"]).ended
    assert.strictEqual(code, 1)
    assert.match(stderr, /^deploy-mcp: .*\n {2}packages\/edge\/src\/main\.ts:1: /u)
    assert.notInclude(stderr, "at ")
  })

  it.each([
    ["replacing itself", []],
    ["beside it", withoutExecve]
  ])("starts control %s, in the folder of the caller", async (_, flags) => {
    const { child, ended, printed } = start(["up"], { flags })
    await printed("started")
    child.kill("SIGTERM")
    const { code, stdout } = await ended
    assert.strictEqual(code, 41)
    const home = path.join(project, ".deploy-mcp")
    const edge = path.join(project, "dist/edge.mjs")
    assert.strictEqual(stdout, `started ${home} ${edge}\ngot SIGTERM\n`)
  })

  it("passes one signal on when a terminal and npm both send it", async () => {
    const { child, ended, printed } = start(["up"], { flags: withoutExecve })
    await printed("started")
    child.kill("SIGINT")
    // Two that arrive together are one for the kernel already.
    await printed("got SIGINT")
    child.kill("SIGINT")
    assert.strictEqual((await ended).stdout.match(/got SIG/gu)?.length, 1)
  })

  it("installs what is missing, and says in a sentence when that fails", async () => {
    rmSync(path.join(project, "node_modules"))
    write("fake/npm", '#!/bin/sh\necho "args: $*" >&2\necho "npm error no network" >&2\nexit 3\n')
    chmodSync(path.join(project, "fake/npm"), 0o755)
    const env = { PATH: `${path.join(project, "fake")}:${process.env.PATH}` }
    const { code, stderr } = await start(["services"], { env }).ended
    assert.strictEqual(code, 1)
    assert.match(
      stderr,
      /^deploy-mcp: running npm ci in .*, because its packages are not installed/u
    )
    assert.match(stderr, / {2}npm \| args: ci .*--ignore-scripts/u)
    assert.match(
      stderr,
      / {2}npm \| npm error no network\ndeploy-mcp: npm ci failed \(exit code 3\)/u
    )
    assert.deepStrictEqual(readdirSync(path.join(project, "dist")), [], "the lock is gone")
  })
})
