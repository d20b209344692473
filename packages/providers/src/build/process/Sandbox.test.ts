/** What a build step can see and do: with bubblewrap where the machine has it, and without. */
import { readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Bench, hasBubblewrap, isRoot, makeBench } from "./BuildBench.ts"
import { buildUser } from "./Sandbox.ts"

/** What a build step with this line prints to its standard output. */
const printed = (bench: Bench, line: string, variables: Record<string, string> = {}) =>
  bench
    .run({ "index.js": "" }, { build_command: line, variables })
    .pipe(
      Effect.map(() =>
        bench.log.flatMap((text) => (text.startsWith("stdout ") ? [text.slice(7)] : []))
      )
    )

const fenced = (suite: () => void) => hasBubblewrap && describe("a step in bubblewrap", suite)

fenced(() => {
  it.live("does not see the platform's home nor anything else of the machine", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench({}, { open: true })
      writeFileSync(join(bench.home, "canary"), "canary", { mode: 0o644 })
      const look = [
        join(bench.home, "canary"),
        bench.host.directory,
        bench.host.artifacts,
        process.cwd()
      ]
      const found = yield* printed(
        bench,
        `for p in ${look.join(" ")}; do test -e $p && echo $p; done; ls -A / /etc /home /tmp /root; true`
      )
      assert.deepStrictEqual(
        found.filter((line) => look.includes(line)),
        []
      )
      const known = "app bin dev etc home lib lib32 lib64 nix opt proc sbin tmp usr".split(" ")
      const top = found.slice(found.indexOf("/:") + 1, found.indexOf(""))
      assert.deepStrictEqual(
        top.filter((name) => !known.includes(name)),
        []
      )
      assert.notInclude(found, "shadow")
    })
  )

  it.live("inherits no environment, no open file and no process of the platform", () =>
    Effect.gen(function* () {
      process.env.BUILD_SANDBOX_CANARY = "inherited"
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => Reflect.deleteProperty(process.env, "BUILD_SANDBOX_CANARY"))
      )
      const bench = yield* makeBench()
      const line = "env; cat /proc/[0-9]*/environ | tr '\\0' '\\n'; echo; ls -l /proc/$$/fd; true"
      const found = yield* printed(bench, line, { MINE: "visible", LD_PRELOAD: "/nope.so" })
      assert.include(found, "MINE=visible")
      assert.notInclude(found.join("\n"), "CANARY")
      assert.notInclude(found.join("\n"), "LD_PRELOAD")
      const open = found.flatMap(
        (text) => / (\d+) -> (.+)$/u.exec(text)?.slice(1, 3).join(" ") ?? []
      )
      assert.isAtLeast(open.length, 3)
      assert.deepStrictEqual(
        open.filter((each) => !/^[012] |null$/u.test(each)),
        []
      )
    })
  )

  it.live("has no capabilities, no way to new ones, and another user than root", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const found = yield* printed(bench, "cat /proc/self/status; id -u; cat /proc/self/uid_map")
      const status = found.join("\n")
      for (const set of ["CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
        if (isRoot || set !== "CapBnd") assert.match(status, new RegExp(`${set}:\\s+0+$`, "mu"))
      }
      assert.match(status, /NoNewPrivs:\s+1/u)
      if (isRoot) assert.include(found, String(buildUser))
    })
  )

  it.live("can write where it builds and nowhere else", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const paths = ["/app/x", "/tmp/x", "$HOME/x", "/usr/x", "/etc/x", "/opt/node/bin/x", "/x"]
      const line = `for p in ${paths.join(" ")}; do (: > $p) 2>/dev/null && echo $p; done; true`
      const found = yield* printed(bench, line)
      assert.deepStrictEqual(found, ["/app/x", "/tmp/x", "/home/build/x"])
    })
  )

  it.live("finds Node.js and npm of the toolchain", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const found = yield* printed(bench, "node -p process.versions.node; command -v npm; npm -v")
      assert.strictEqual(found[0], process.versions.node)
      assert.strictEqual(found[1], "/opt/node/bin/npm")
      assert.match(found[2] ?? "", /^\d+\.\d+\.\d+$/u)
    })
  )

  it.live("variables stand in no command line that others can read", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const found = yield* printed(bench, "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'", {
        TOKEN: "s3cr3t-value"
      })
      assert.notInclude(found.join("\n"), "s3cr3t-value")
    })
  )

  it.live("says so", () =>
    Effect.gen(function* () {
      assert.match(yield* (yield* makeBench()).build.isolation, /^bubblewrap \d+\.\d+/u)
    })
  )
})

describe("a step without bubblewrap", () => {
  const project = {
    "package.json": JSON.stringify({
      dependencies: { "is-number": "7.0.0" },
      scripts: { build: "id -u && echo $HOME && env" },
      main: "index.js"
    }),
    "package-lock.json": JSON.stringify({
      lockfileVersion: 3,
      requires: true,
      packages: {
        "": { dependencies: { "is-number": "7.0.0" } },
        "node_modules/is-number": { version: "7.0.0" }
      }
    }),
    "index.js": ""
  }

  for (const open of [true, false]) {
    it.live(`installs and builds in a home that others may ${open ? "" : "not "}look into`, () =>
      Effect.gen(function* () {
        const bench = yield* makeBench({}, { plain: true, open })
        const isolation = yield* bench.build.isolation
        assert.match(isolation, /^not sandboxed: bubblewrap is not installed/u)
        const lowered = isRoot && open
        assert.strictEqual(isolation.includes(String(buildUser)), lowered)
        const artifact = yield* bench.run(project)
        const file = join(artifact.directory, "node_modules/is-number/package.json")
        assert.include(readFileSync(file, "utf8"), '"7.0.0"')
        assert.strictEqual(statSync(file).uid, process.getuid?.())
        assert.include(bench.log, `stdout ${lowered ? buildUser : process.getuid?.()}`)
        assert.notInclude(bench.log.join("\n"), `HOME=${process.env.HOME}\n`)
      })
    )
  }

  it.live("shares no file between a kept tree and an artifact", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench({}, { plain: true, open: true })
      const files = { ...project, "package.json": project["package.json"].replace("build", "b") }
      const artifact = yield* bench.run(files)
      assert.strictEqual(
        statSync(join(artifact.directory, "node_modules/is-number/package.json")).nlink,
        1
      )
    })
  )
})
