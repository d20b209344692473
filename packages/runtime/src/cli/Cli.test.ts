/** The command line as people run it, against a double of the platform that speaks its API and real git. */
import { execFileSync, spawn } from "node:child_process"
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { Failure } from "@deploy-mcp/domain/Failure"
import { afterAll, assert, beforeAll, beforeEach, describe, it } from "vitest"
import { type Json, key, type PlatformDouble, secret, startDouble } from "./PlatformDouble.ts"

const root = join(dirname(fileURLToPath(import.meta.url)), "../../../..")

let world: string
let platform: PlatformDouble

const git = (folder: string, ...args: ReadonlyArray<string>) =>
  execFileSync("git", ["-C", folder, ...args], { encoding: "utf8" }).trim()

/** Runs the command to its end. */
const run = (args: ReadonlyArray<string>, environment: Readonly<Record<string, string>> = {}) =>
  new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    const child = spawn(process.execPath, [join(root, "bin/deploy-mcp.mjs"), ...args], {
      cwd: world,
      env: {
        ...process.env,
        DEPLOY_MCP_HOME: join(world, "home"),
        DEPLOY_MCP_PORT: String(platform.port),
        DEPLOY_MCP_KEY: key,
        ...environment
      }
    })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (text) => {
      stdout += text
    })
    child.stderr.on("data", (text) => {
      stderr += text
    })
    child.on("close", (code) => resolve({ code, stdout, stderr }))
  })

const folder = (name: string, files: Readonly<Record<string, string>>) => {
  const directory = join(world, name)
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, file)), { recursive: true })
    writeFileSync(join(directory, file), text)
  }
  return directory
}

beforeAll(async () => {
  world = mkdtempSync(join(tmpdir(), "deploy-mcp-cli-"))
  platform = await startDouble(world)
})

afterAll(() => {
  platform.close()
  rmSync(world, { recursive: true, force: true })
})

beforeEach(() => {
  Object.assign(platform.state, { calls: [], service: null, outcome: {}, pushes: 0 })
  rmSync(join(world, "git"), { recursive: true, force: true })
})

const inputOf = (tool: string) => platform.state.calls.find((call) => call.tool === tool)?.input

describe("the command line", () => {
  it("lists services page by page, without colour where nobody watches", async () => {
    const { code, stdout } = await run(["services"])
    assert.strictEqual(code, 0)
    assert.match(stdout, /^NAME +STATUS .*\none +live .*\ntwo +live /u)
    const asJson = JSON.parse((await run(["services", "--json"])).stdout)
    assert.deepStrictEqual(
      asJson.services.map(({ name }: Json) => name),
      ["one", "two"]
    )
  })

  it("prints a failure as its catalogue entry and exits with 1", async () => {
    const wrong = await run(["services"], { DEPLOY_MCP_KEY: "dk_live_wrong" })
    assert.strictEqual(wrong.code, 1)
    assert.strictEqual(wrong.stdout, "")
    assert.match(
      wrong.stderr,
      /✗ unauthorized {2}The key is unknown\.\n {2}next: Send a valid key/u
    )
    const asJson = await run(["services", "--json"], { DEPLOY_MCP_KEY: "dk_live_wrong" })
    assert.strictEqual(asJson.code, 1)
    assert.strictEqual(JSON.parse(asJson.stdout).error.code, "unauthorized")
  })

  it("says how to start the platform where none answers", async () => {
    for (const DEPLOY_MCP_KEY of [key, ""]) {
      const { code, stderr } = await run(["services"], { DEPLOY_MCP_PORT: "1", DEPLOY_MCP_KEY })
      assert.strictEqual(code, 1)
      assert.match(stderr, /No platform answers on http:\/\/127\.0\.0\.1:1\.\n.*deploy-mcp up/u)
    }
  })

  it("names a setting that is wrong", async () => {
    const { code, stderr } = await run(["services"], { DEPLOY_MCP_PORT: "many" })
    assert.strictEqual(code, 1)
    assert.match(stderr, /invalid_argument.*DEPLOY_MCP_PORT/u)
  })

  it("reads the owner's key from the home", async () => {
    const home = folder("keyed-home", { "owner-key": `${key}\n` })
    const { code } = await run(["services"], { DEPLOY_MCP_HOME: home, DEPLOY_MCP_KEY: "" })
    assert.strictEqual(code, 0)
  })

  it("shows control characters of tenants instead of obeying them", async () => {
    const { stdout } = await run(["logs", "site", "--tail", "5"])
    assert.match(stdout, /red \\u\{1b\}\[31malert/u)
    assert.deepStrictEqual(inputOf("get_logs"), { name: "site", source: "runtime", tail_lines: 5 })
  })

  it("searches logs", async () => {
    const search = ["--grep", "time out", "--since", "15m"]
    await run(["logs", "site", ...search])
    const wanted = { contains: "time out", since: "15m" }
    assert.include(inputOf("get_logs"), wanted)
    await run(["logs", "site", "-f", ...search])
    assert.include(inputOf("logs"), wanted)
  })

  it("follows logs line by line", async () => {
    const { code, stdout } = await run(["logs", "site", "-f"])
    assert.strictEqual(code, 0)
    assert.match(stdout, /first\n.*second\n$/u)
    const asJson = (await run(["logs", "site", "-f", "--json"])).stdout.trim().split("\n")
    assert.deepStrictEqual(
      asJson.map((line) => JSON.parse(line).text),
      ["first", "second"]
    )
  })

  it("lists, creates and revokes keys", async () => {
    assert.match((await run(["keys"])).stdout, /owner +dk_live_abc… +valid/u)
    const created = await run([
      "keys",
      "create",
      "ci",
      "--scopes",
      "services:read, services:deploy"
    ])
    assert.match(created.stdout, /^dk_live_new\n/u)
    assert.deepStrictEqual(inputOf("create_key"), {
      name: "ci",
      scopes: ["services:read", "services:deploy"]
    })
    assert.match((await run(["keys", "revoke", "owner"])).stdout, /owner is revoked/u)
  })

  it("checks the machine", async () => {
    const { code, stdout } = await run(["doctor", "--json"])
    assert.strictEqual(code, 1)
    const { findings } = JSON.parse(stdout)
    const byName = new Map(findings.map((finding: Json) => [finding.what, finding]))
    assert.include(byName.get("git"), { status: "ok" })
    assert.include(byName.get("disk"), { status: "ok" })
    assert.include(byName.get("port"), { status: "fail" }, "the double is no platform of this home")
  })

  it("says when the disk has less room than the platform wants to keep", async () => {
    const { stdout } = await run(["doctor"], { DEPLOY_MCP_MIN_FREE_DISK: String(1024 ** 4) })
    assert.match(stdout, /✗ disk +\d+ of \d+ MiB free; below \d+ MiB nothing is built/u)
    const { bavail, bsize } = statfsSync(world)
    const most = String(Math.floor((0.75 * bavail * bsize) / 1024 ** 2))
    const soon = await run(["doctor"], { DEPLOY_MCP_MIN_FREE_DISK: most })
    assert.match(soon.stdout, /! disk .*\n +→ Free some of it before builds are refused/u)
    assert.match(stdout, /✓ quotas +counted while the platform runs/u)
  })
})

describe("deploy", () => {
  it("pushes a plain folder without its secrets and its dependencies, and leaves it as it is", async () => {
    const directory = folder("site", {
      "index.html": "one",
      ".env": "TOKEN=1",
      ".gitignore": "*.log\n",
      "debug.log": "",
      "node_modules/a/index.js": ""
    })
    const before = readdirSync(directory, { recursive: true })
    const first = await run(["deploy", "site"])
    assert.strictEqual(first.code, 0, first.stderr)
    assert.match(
      first.stdout,
      /✓ live {2}http:\/\/site\.localhost:8080\n {2}try: .*\n.*build 12 ms/u
    )
    assert.deepStrictEqual(readdirSync(directory, { recursive: true }), before)
    const pushed = git(platform.bare("site"), "ls-tree", "-r", "--name-only", "main")
    assert.strictEqual(pushed, ".gitignore\nindex.html")
    assert.include(inputOf("create_service"), { name: "site", repo: "site", branch: "main" })

    writeFileSync(join(directory, "index.html"), "two")
    const second = await run(["deploy", "site", "--json"])
    assert.strictEqual(second.code, 0, second.stderr)
    assert.strictEqual(JSON.parse(second.stdout).status, "live")
    assert.strictEqual(git(platform.bare("site"), "rev-list", "--count", "main"), "2")
    assert.strictEqual(
      platform.state.calls.filter(({ tool }) => tool === "create_service").length,
      1
    )
  })

  it("never shows the credential to other users of the machine", async () => {
    folder("site", { "index.html": "one" })
    const log = join(world, "argv.log")
    const spy = folder("spy", {
      git: `#!/bin/sh\nprintf '%s\\n' "$*" >> '${log}'\nexec ${execFileSync("which", ["git"], { encoding: "utf8" }).trim()} "$@"\n`
    })
    chmodSync(join(spy, "git"), 0o755)
    const { code, stdout, stderr } = await run(["deploy", "site"], {
      PATH: `${spy}:${process.env.PATH}`
    })
    assert.strictEqual(code, 0, stderr)
    assert.match(readFileSync(log, "utf8"), /^push /mu)
    assert.notInclude(readFileSync(log, "utf8"), secret)
    assert.notInclude(stdout + stderr, secret)
  })

  it("pushes the committed state of a repository and does not change it", async () => {
    const directory = folder("site-repo", { "index.html": "one" })
    git(directory, "init", "--quiet", "--initial-branch=work")
    git(directory, "add", ".")
    git(directory, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "one")
    writeFileSync(join(directory, "draft.txt"), "")
    const look = () => [
      git(directory, "for-each-ref"),
      readFileSync(join(directory, ".git/config"), "utf8"),
      git(directory, "status", "--porcelain")
    ]
    const before = look()
    const { code, stdout } = await run(["deploy", directory, "--name", "site"])
    assert.strictEqual(code, 0)
    assert.match(stdout, /1 changed or new files are not committed/u)
    assert.deepStrictEqual(look(), before)
    assert.strictEqual(platform.head("site"), git(directory, "rev-parse", "HEAD"))
  })

  it("deploys a folder inside of a repository as that repository's root directory", async () => {
    const directory = folder("mono", { "apps/web/index.html": "one", "README.md": "" })
    git(directory, "init", "--quiet")
    git(directory, "add", ".")
    git(directory, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "one")
    const { code, stderr } = await run(["deploy", "mono/apps/web"])
    assert.strictEqual(code, 0, stderr)
    assert.include(inputOf("create_service"), {
      name: "web",
      repo: "mono",
      root_directory: "apps/web"
    })
  })

  it("deploys again when nothing is new and the last deployment had failed", async () => {
    folder("site", { "index.html": "same" })
    platform.state.outcome = {
      status: "failed",
      failure: Failure.of("no_port", "Nothing listens.", { evidence: ["boom"] })
    }
    const failed = await run(["deploy", "site"])
    assert.strictEqual(failed.code, 1)
    assert.match(failed.stderr, /✗ no_port {2}Nothing listens\.\n {2}│ boom\n {2}next: Listen on/u)
    const again = await run(["deploy", "site"])
    assert.strictEqual(again.code, 0, again.stderr)
    assert.isDefined(inputOf("redeploy_service"))
  })

  it("refuses what cannot be deployed, with the next step", async () => {
    assert.match(
      (await run(["deploy", "nowhere"])).stderr,
      /invalid_argument {2}There is no folder/u
    )
    mkdirSync(join(world, "empty"), { recursive: true })
    assert.match((await run(["deploy", "empty"])).stderr, /nothing_to_deploy/u)
  })
})
