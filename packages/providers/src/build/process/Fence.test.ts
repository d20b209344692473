/** What hostile builds try, as real builds: each finds itself refused, and the machine goes on. */
import { existsSync, mkdirSync, readdirSync } from "node:fs"
import { createServer } from "node:net"
import { networkInterfaces } from "node:os"
import { dirname, join } from "node:path"
import { OwnerId } from "@deploy-mcp/domain/model/Ids"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option, Schedule, type Scope } from "effect"
import { failure } from "../detection/DetectionBench.ts"
import { packageRegistry } from "../PackageRegistry.ts"
import { assertTidy, type Bench, hasBubblewrap, isRoot, makeBench } from "./BuildBench.ts"
import { findGroups } from "./BuildGroup.ts"
import { makeFence } from "./Fence.ts"
import type { Sandbox } from "./Sandbox.ts"
import { executable } from "./SandboxProbe.ts"

/** What a build with this command prints to its standard output. */
const printed = (bench: Bench, build_command: string) =>
  bench.run({ "index.js": "" }, { build_command }).pipe(Effect.map(() => printedIn(bench)))

const printedIn = ({ log }: Bench) =>
  log.flatMap((text) => (text.startsWith("stdout ") ? [text.slice(7)] : []))

/** Something of the machine's own that must not be reached, and whether it was. */
const canary = (
  where: { readonly port: number } | { readonly path: string }
): Effect.Effect<{ readonly port: number; readonly reached: () => number }, never, Scope.Scope> =>
  Effect.gen(function* () {
    let count = 0
    const server = createServer((socket) => {
      count++
      socket.on("error", () => {}).end("HTTP/1.0 200 OK\r\n\r\ncanary")
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(where, () => resume(Effect.void))
      }),
      () => Effect.sync(() => server.close())
    )
    const address = server.address()
    return { port: typeof address === "object" ? (address?.port ?? 0) : 0, reached: () => count }
  })

/** Tries each place directly, as a tunnel and as a request; prints what came of it. */
const callAll = `
const { connect } = require("node:net")
const { request } = require("node:http")
const proxy = new URL(process.env.HTTPS_PROXY)
const via = (options, event) => new Promise((done) => {
  const asking = request({ host: proxy.hostname, port: proxy.port, ...options })
  asking.on(event, ({ statusCode }, socket) => { done(statusCode); socket?.destroy() }).on("error", (error) => done(error.code))
  asking.setTimeout(2000, () => done("silence")).end()
})
const direct = (options) => new Promise((done) => {
  const socket = connect(options, () => done("reached")).on("error", ({ code }) => done(code)).setTimeout(2000, () => done("silence"))
})
const [abstract, ...places] = process.argv.slice(2)
;(async () => {
  console.log("abstract", await direct({ path: "\\0" + abstract }))
  for (const place of places) {
    const [, host, port] = /^(.*):(\\d+)$/.exec(place)
    console.log(place, "direct", await direct({ host: host.replace(/^\\[|\\]$/g, ""), port }))
    console.log(place, "tunnel", await via({ method: "CONNECT", path: place }, "connect"))
    console.log(place, "request", await via({ path: "http://" + place + "/" }, "response"))
  }
  process.exit()
})()
`

/** Calls by their number on x64, as nothing but perl makes them without a compiler. */
const calls = { keyctl: 250, ptrace: 101, bpf: 321, io_uring_setup: 425, mount: 165, setns: 308 }
const canCall = process.arch === "x64" && existsSync("/usr/bin/perl")

const hostile = () => {
  it.live("makes none of the calls that reach into the kernel", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const tries = canCall
        ? Object.entries(calls).map(
            ([name, number]) =>
              `perl -e '$r = syscall(${number}, 0, 0, 0, 0, 0); print "${name} ", $r == -1 ? $!+0 : "made", "\\n"'`
          )
        : []
      const found = yield* printed(
        bench,
        ["grep Seccomp: /proc/self/status", "unshare --user true || echo no namespace", ...tries]
          .map((line) => `{ ${line}; }`)
          .join("; ")
      )
      assert.match(found.join("\n"), /^Seccomp:\s+2$/mu)
      assert.include(found, "no namespace")
      if (canCall) {
        const permission = 1
        for (const name of Object.keys(calls)) assert.include(found, `${name} ${permission}`)
      }
    })
  )

  it.live("reaches neither this machine nor a private network nor a cloud's metadata", () =>
    Effect.gen(function* () {
      const abstract = `deploy-mcp-test-${process.pid}`
      const all = yield* canary({ port: 0 })
      const socket = yield* canary({ path: `\0${abstract}` })
      const own = Object.values(networkInterfaces())
        .flatMap((each) => each ?? [])
        .filter(({ scopeid }) => !scopeid)
        .slice(0, 3)
        .map(({ address, family }) => (family === "IPv6" ? `[${address}]` : address))
      const hosts = [
        ...["localhost", "127.0.0.2", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "2130706433"],
        ...["10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254", "[fd00::1]"],
        ...own
      ]
      const places = hosts.map((host) => `${host}:${all.port}`)
      const bench = yield* makeBench()
      yield* bench.run(
        { "index.js": "", "call.js": callAll },
        {
          build_command: ["node call.js", abstract, ...places.map((place) => `'${place}'`)].join(
            " "
          )
        }
      )
      const found = printedIn(bench)
      assert.strictEqual(found.length, 1 + 3 * places.length)
      for (const line of found) assert.notMatch(line, / (?:reached|200)$/u)
      assert.strictEqual(all.reached() + socket.reached(), 0)
      assert.isTrue(
        bench.log.some((text) => /^platform Refused to the build: 169\.254\.169\.254:/u.test(text))
      )
    })
  )

  it.live("installs from the operator's registry, wherever it is, and calls nothing else", () =>
    Effect.gen(function* () {
      const home = yield* makeBench()
      const registry = yield* packageRegistry("127.0.0.2", home.home)
      const other = yield* canary({ port: 0 })
      const npmRegistry = Option.some(registry.url)
      for (const network of ["public", "registries"] as const) {
        const bench = yield* makeBench({ npmRegistry, network })
        const call = `node call.js none 127.0.0.2:${other.port} 93.184.216.34:443`
        yield* bench.run(
          { ...registry.files, "server.js": "", "call.js": callAll },
          { build_command: network === "registries" ? call : "true" }
        )
        const found = printedIn(bench).filter((line) => /direct|tunnel|request/u.test(line))
        assert.strictEqual(found.length, network === "registries" ? 6 : 0)
        for (const line of found) assert.notMatch(line, / (?:reached|200)$/u)
      }
      assert.include(registry.asked, "/greeting.tgz")
      assert.strictEqual(other.reached(), 0)
    })
  )

  it.live("calls nothing at all where the operator says so", () =>
    Effect.gen(function* () {
      const home = yield* makeBench()
      const registry = yield* packageRegistry("127.0.0.2", home.home)
      const bench = yield* makeBench({ npmRegistry: Option.some(registry.url), network: "none" })
      const found = yield* failure(bench.run({ ...registry.files, "server.js": "" }))
      assert.strictEqual(found.code, "install_failed")
      assert.deepStrictEqual(registry.asked, [])
      const plain = yield* makeBench({ network: "none" }, { plain: true, open: true })
      const refused = yield* failure(plain.run({ "index.js": "" }, { build_command: "true" }))
      assert.strictEqual(refused.code, "toolchain_missing")
    })
  )

  it.live("neither sees nor ends another build", () =>
    Effect.gen(function* () {
      const victim = yield* makeBench()
      const other = OwnerId.make(`own_${"b".repeat(20)}`)
      const secret = `7${process.pid}`
      const building = yield* Effect.forkChild(
        victim.run(
          { "index.js": "" },
          { owner: other, build_command: `echo started; sleep ${secret} & wait; echo ended` }
        )
      )
      while (!victim.log.includes("stdout started")) yield* Effect.sleep("10 millis")
      const bench = yield* makeBench()
      const found = yield* printed(
        bench,
        "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'; trap '' TERM; kill -TERM -1; true"
      )
      assert.isAbove(found.length, 0)
      assert.notInclude(found.join(" "), secret)
      assert.notInclude(victim.log, "stdout ended")
      yield* Fiber.interrupt(building)
    })
  )
}
if (hasBubblewrap) describe("a hostile build", hostile)
else it.skip("a hostile build cannot be tried here")

const groups = isRoot ? await Effect.runPromise(findGroups) : null
const left = () =>
  [...new Set(groups?.roots.values())].flatMap((root) =>
    readdirSync(root).filter((name) => name.startsWith(`deploy-mcp-build-${process.pid}.`))
  )

const greedy = () => {
  it.live("is ended when it takes more memory than it may", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench({ memoryLimit: Option.some(192) })
      const eat = `node -e 'const all = []; for (;;) all.push(Buffer.alloc(2 ** 24, 1))'`
      const found = yield* failure(bench.run({ "index.js": "" }, { build_command: eat }))
      assert.strictEqual(found.code, "build_failed")
      assert.include(found.cause, "192 MiB of memory")
      assert.include(found.next, "memory_limit")
      assert.deepStrictEqual(left(), [])
      assertTidy(bench)
    })
  )

  it.live("is limited as before when a search for control groups was killed", () =>
    Effect.gen(function* () {
      const probes = [...(groups?.roots.values() ?? [])].map((root) =>
        join(root, `deploy-mcp-probe-build-of-${process.getuid?.()}`)
      )
      for (const probe of probes) mkdirSync(probe, { recursive: true })
      assert.deepStrictEqual(yield* findGroups, groups)
      // Another one may be searching at this very moment.
      yield* Effect.sync(() => probes.some((probe) => existsSync(probe))).pipe(
        Effect.repeat({ while: (left) => left, schedule: Schedule.spaced("5 millis") }),
        Effect.timeout("10 seconds")
      )
    })
  )

  it.live("finds an end to the processes that it may start", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const bomb =
        "mkfifo /tmp/never; n=0; while [ $n -lt 5000 ]; do read _ </tmp/never & n=$((n+1)); done; echo all"
      const found = yield* failure(bench.run({ "index.js": "" }, { build_command: bomb }))
      assert.strictEqual(found.code, "build_failed")
      assert.match(found.evidence.join("\n"), /fork|resource/iu)
      assert.notInclude(bench.log, "stdout all")
      assert.deepStrictEqual(left(), [])
      assertTidy(bench)
    })
  )
}
/** One that sees all: only what it takes matters. */
const anywhere: Sandbox = {
  level: "plain",
  description: "not sandboxed",
  user: null,
  launch: (line) => ({
    file: "/bin/sh",
    args: ["-c", line],
    env: { PATH: dirname(process.execPath) },
    cwd: "/"
  })
}

const rough = (prlimit: string) =>
  it.live("without control groups it is ended by what a single process may allocate", () =>
    Effect.gen(function* () {
      const allocating = (mebibytes: number, limiter: string | null) => {
        const limits = { memory: 64, cpu: null }
        const fence = makeFence(anywhere, null, limiter, {
          limits,
          reach: { network: "public", named: new Set<string>() }
        })
        const line = `node -e 'const all = []; while (all.push(Buffer.alloc(2 ** 20)) < ${mebibytes});'`
        const place = { app: "/", home: "/", cache: "/" }
        const step = { line, place, variables: {}, name: "rough", output: () => {} }
        return fence.run({ ...step, refused: () => {} })
      }
      assert.strictEqual((yield* allocating(32, prlimit)).code, 0)
      assert.notStrictEqual((yield* allocating(2_000, prlimit)).code, 0)
      assert.strictEqual((yield* allocating(2_000, null)).code, 0)
    })
  )
const prlimit = executable("prlimit", process.env.PATH ?? "")
if (prlimit === null) it.skip("a greedy build is not limited at all without prlimit")
else rough(prlimit)

if (hasBubblewrap && groups !== null) describe("a greedy build", greedy)
else it.skip("a greedy build cannot be tried here")
