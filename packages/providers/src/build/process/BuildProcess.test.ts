/** What builds leave behind, with the real npm and, where the machine has it, the real bubblewrap. */

import {
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { OwnerId } from "@deploy-mcp/domain/model/Ids"
import { RelativePath } from "@deploy-mcp/domain/model/Names"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { failure, pkg, serviceSettings } from "../detection/DetectionBench.ts"
import { assertTidy, hasBubblewrap, keyOf, makeBench, project } from "./BuildBench.ts"

const modeOf = (path: string) => statSync(path).mode & 0o7777

describe("without steps", () => {
  it.live("a site becomes the folder that is served, readable for everyone", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const previous = process.umask(0o077)
      yield* Effect.addFinalizer(() => Effect.sync(() => process.umask(previous)))
      const files = { "public/index.html": "<h1>hi</h1>", "public/a/b.css": "x", secret: "x" }
      const artifact = yield* bench.run(files)
      assert.deepStrictEqual(artifact.runtime, { kind: "static", publish: "." })
      assert.strictEqual(artifact.directory, join(bench.host.artifacts, keyOf(1)))
      assert.strictEqual(artifact.bytes, 12)
      assert.isFalse(existsSync(join(artifact.directory, "secret")))
      assert.strictEqual(modeOf(join(artifact.directory, "a")), 0o755)
      assert.strictEqual(modeOf(join(artifact.directory, "a/b.css")), 0o644)
      assertTidy(bench)
    })
  )

  it.live("links that lead out of a site are left out, others stay", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const source = bench.source({ "index.html": "x", "real.txt": "y" })
      writeFileSync(join(bench.home, "canary"), "secret")
      symlinkSync("real.txt", join(source, "inside"))
      symlinkSync("/etc/passwd", join(source, "passwd"))
      symlinkSync("../canary", join(source, "canary"))
      const plan = yield* bench.build.plan(source, serviceSettings())
      const artifact = yield* bench.build.artifact(bench.request(source, plan))
      const names = readdirSync(artifact.directory).sort()
      assert.deepStrictEqual(names, ["index.html", "inside", "real.txt"])
    })
  )

  it.live("a server needs nothing but its files and Node.js", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const artifact = yield* bench.run(
        { "api/server.js": "1", "other.txt": "" },
        {
          root_directory: RelativePath.make("api")
        }
      )
      assert.deepStrictEqual(artifact.runtime, {
        kind: "process",
        start: "exec node server.js",
        path: [bench.host.node.bin]
      })
      assert.deepStrictEqual(readdirSync(artifact.directory), ["server.js"])
    })
  )

  it.live("is found by its key, also by the next process, until it is removed", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      assert.isNull(yield* bench.build.find(keyOf(1)))
      const made = yield* bench.run({ "index.html": "x" })
      const next = yield* bench.again
      assert.deepStrictEqual(yield* next.find(keyOf(1)), made)
      yield* next.remove(keyOf(1))
      yield* next.remove(keyOf(1))
      assert.isNull(yield* next.find(keyOf(1)))
      assert.deepStrictEqual(readdirSync(bench.host.artifacts), [])
    })
  )

  it.live("is not found without its manifest, and made whole by the next build", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      yield* bench.run({ "index.html": "x" })
      writeFileSync(join(bench.host.artifacts, `${keyOf(1)}.json`), '{"key":')
      assert.isNull(yield* bench.build.find(keyOf(1)))
      const artifact = yield* bench.run({ "index.html": "x" })
      assert.deepStrictEqual(yield* bench.build.find(keyOf(1)), artifact)
      assertTidy(bench)
    })
  )

  it.live("refuses output above the limit and leaves nothing", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench({ outputLimit: 1024 * 1024 })
      const large = { "index.html": "x", "large.bin": "y".repeat(1024 * 1024) }
      const found = yield* failure(bench.run(large))
      assert.strictEqual(found.code, "output_too_large")
      assert.deepStrictEqual(readdirSync(bench.host.artifacts), [])
      assertTidy(bench)
    })
  )
})

const numberFile = "node_modules/is-number/index.js"

describe("with dependencies", () => {
  it.live("a change of code uses the installed tree: same files, no npm", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const first = yield* bench.run(project("1"), { key: 1 })
      assert.include(bench.log.join("\n"), "$ npm ci --omit=dev")
      bench.log.length = 0
      const second = yield* bench.run(project("2"), { key: 2 })
      assert.notInclude(bench.log.join("\n"), "npm ci")
      assert.strictEqual(readFileSync(join(second.directory, "index.js"), "utf8"), "2")
      const [a, b] = [first, second].map((each) => statSync(join(each.directory, numberFile)))
      assert.strictEqual(a?.ino === b?.ino, hasBubblewrap)
      assert.strictEqual(first.bytes, second.bytes)
      assert.isAbove(first.bytes, 9000)
      assertTidy(bench)
    })
  )

  it.live("a tree is its owner's and its lockfile's alone", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const trees = () => readdirSync(join(bench.host.directory, "trees")).length
      yield* bench.run(project("1"), { key: 1 })
      yield* bench.run(project("1"), { key: 2, owner: OwnerId.make(`own_${"b".repeat(20)}`) })
      assert.strictEqual(trees(), 2)
      const changed = { ...project("1"), ".npmrc": "fund=false\n" }
      yield* bench.run(changed, { key: 3 })
      assert.strictEqual(trees(), 3)
      const renamed = { ...project("1"), "readme.md": "x" }
      yield* bench.run(renamed, { key: 4 })
      assert.strictEqual(trees(), 3)
    })
  )

  it.live("a build that writes into node_modules does not change what is kept", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const first = yield* bench.run(project("1"), { key: 1 })
      const before = readFileSync(join(first.directory, numberFile), "utf8")
      const spoil = { build_command: `echo spoilt > ${numberFile}; echo > node_modules/new` }
      const options = { ...spoil, install_command: "npm ci --omit=dev", key: 2 }
      const second = yield* bench.run(project("1"), options)
      assert.strictEqual(readFileSync(join(second.directory, numberFile), "utf8"), "spoilt\n")
      const third = yield* bench.run(project("3"), { key: 3 })
      assert.strictEqual(readFileSync(join(third.directory, numberFile), "utf8"), before)
      assert.strictEqual(readFileSync(join(first.directory, numberFile), "utf8"), before)
      assert.isFalse(existsSync(join(third.directory, "node_modules/new")))
    })
  )

  it.live("a lockfile that does not match is told apart", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const files = {
        ...project("1"),
        "package.json": pkg({ dependencies: { "is-number": "7.0.0", "is-odd": "3.0.1" } })
      }
      const found = yield* failure(bench.run(files))
      assert.strictEqual(found.code, "lockfile_outdated")
      assert.match(found.evidence.join("\n"), /Missing: is-odd/u)
      assertTidy(bench)
      assert.deepStrictEqual(readdirSync(join(bench.host.directory, "trees")), [])
    })
  )

  it.live("a registry that is away is told apart", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const files = { ...project("1"), ".npmrc": "registry=http://127.0.0.1:9/\nfetch-retries=0\n" }
      const found = yield* failure(bench.run(files))
      assert.strictEqual(found.code, "install_failed")
      assert.match(found.cause, /registry could not be reached/u)
    })
  )

  it.live("an install with scripts of the project runs among its files, each time", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const files = {
        ...project("1"),
        "package.json": pkg({
          dependencies: { "is-number": "7.0.0" },
          scripts: { postinstall: "cp index.js node_modules/copy" }
        })
      }
      const artifact = yield* bench.run(files)
      assert.strictEqual(readFileSync(join(artifact.directory, "node_modules/copy"), "utf8"), "1")
      assert.deepStrictEqual(readdirSync(join(bench.host.directory, "trees")), [])
    })
  )
})

describe("with a build", () => {
  it.live("a project that only builds becomes the site that it made", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const build = "mkdir dist && echo $GREETING > dist/index.html"
      const files = { "package.json": pkg({ scripts: { build } }), "src.js": "" }
      const artifact = yield* bench.run(files, { variables: { GREETING: "hello" } })
      assert.deepStrictEqual(artifact.runtime, { kind: "static", publish: "." })
      assert.deepStrictEqual(readdirSync(artifact.directory), ["index.html"])
      assert.strictEqual(readFileSync(join(artifact.directory, "index.html"), "utf8"), "hello\n")
    })
  )

  it.live("says what to start when a build made no site but the main file", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const files = {
        "package.json": pkg({
          main: "dist/a.js",
          scripts: { build: "mkdir dist && echo > dist/a.js" }
        })
      }
      const found = yield* failure(bench.run(files))
      assert.strictEqual(found.code, "no_start_command")
      assert.deepStrictEqual(found.patch, { start_command: "node dist/a.js" })
    })
  )

  it.live("shows the last lines of a failed build, without colours and secrets", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const line = `i=0; while [ $i -lt 50 ]; do echo line $i; i=$((i+1)); done; printf '\\033[31m%s\\033[0m\\n' "token $TOKEN" >&2; exit 3`
      const options = { build_command: line, variables: { TOKEN: "s3cr3t-value" } }
      const found = yield* failure(bench.run({ "index.js": "" }, options))
      assert.strictEqual(found.code, "build_failed")
      assert.strictEqual(found.evidence.length, 20)
      assert.include(found.evidence, "token ••••")
      assert.include(found.cause, "ended with 3")
      assert.notInclude(JSON.stringify(found), "s3cr3t")
      assert.include(bench.log, "stdout line 0")
    })
  )

  it.live("cuts long lines and stops logging at the limit, but not the build", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench({ logLimit: 20_000 })
      const line = `head -c 100000 /dev/zero | tr '\\0' x; i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done`
      yield* bench.run({ "index.js": "" }, { build_command: line })
      const longest = Math.max(...bench.log.map((text) => text.length))
      assert.isAtMost(longest, "stdout ".length + 4096)
      assert.match(bench.log.at(-1) ?? "", /^platform … output beyond 20000 characters/u)
      assert.isBelow(bench.log.join("\n").length, 60_000)
    })
  )
})
