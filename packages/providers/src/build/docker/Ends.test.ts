/** How builds with Docker end that do not succeed: what is told, and that nothing is left of them. */
import { randomInt } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { assert, it, layer } from "@effect/vitest"
import { Clock, Deferred, Duration, Effect, Fiber, Option, Schedule } from "effect"
import { type Files, failure, pkg } from "../detection/DetectionBench.ts"
import type { BuildDockerSettings } from "./BuildDocker.ts"
import { DockerWorld, isInstalled, leftovers, makeBench, newKey, world } from "./DockerBench.ts"

const program = (build: string): Files => ({
  "package.json": pkg({ scripts: { build, start: "node server.js" } }),
  "server.js": ""
})

const locked = (name: string): Files => {
  const dependencies = { [name]: "1.0.0" }
  const locked = { version: "1.0.0", integrity: `sha512-${"A".repeat(86)}==` }
  const packages = { "": { dependencies }, [`node_modules/${name}`]: locked }
  return {
    "package.json": pkg({ dependencies, scripts: { start: "node server.js" } }),
    "package-lock.json": pkg({ lockfileVersion: 3, requires: true, packages })
  }
}

/** Nobody else sleeps for that long. */
const endless = `sleep ${randomInt(10 ** 7, 10 ** 8)}`

/** Command lines on this machine, those in containers included. */
const commandLines = () =>
  readdirSync("/proc")
    .filter((pid) => /^\d+$/u.test(pid))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")
      } catch {
        return ""
      }
    })

/** BuildKit ends a step a moment after it has been told to. */
const isGone = (words: string) =>
  Effect.suspend(() =>
    commandLines().some((line) => line.includes(words)) ? Effect.fail(words) : Effect.void
  ).pipe(Effect.retry({ schedule: Schedule.spaced("50 millis"), times: 200 }))

interface Told {
  readonly of: string
  readonly files: (image: string) => Files
  readonly code: string
  readonly cause: RegExp
  /** In the evidence or the next step. */
  readonly telling: RegExp
  readonly settings?: Partial<BuildDockerSettings>
}

const docker =
  (...lines: ReadonlyArray<string>) =>
  (image: string) => ({
    Dockerfile: [`FROM ${image}`, ...lines, ""].join("\n")
  })

const told: ReadonlyArray<Told> = [
  {
    of: "a build script that fails",
    files: () => program("echo no types >&2; exit 3"),
    code: "build_failed",
    cause: /^'npm run build' ended with 3\.$/u,
    telling: /^no types$/mu
  },
  {
    of: "a registry that is away",
    files: () => ({
      ...program("true"),
      ...locked("is-number"),
      ".npmrc": "registry=http://127.0.0.1:9/\nfetch-retries=0\n"
    }),
    code: "install_failed",
    cause: /^The package registry could not be reached\.$/u,
    telling: /ECONNREFUSED/u
  },
  {
    of: "an instruction that fails",
    files: docker("RUN echo broken && exit 4"),
    code: "build_failed",
    cause: /^'RUN echo broken && exit 4' ended with 4\.$/u,
    telling: /^broken$/mu
  },
  {
    of: "a file that is not there",
    files: docker("COPY nofile /"),
    code: "build_failed",
    cause: /^'COPY nofile \/' failed: .*nofile.* not found/u,
    telling: /nofile/u
  },
  {
    of: "an unknown instruction",
    files: docker("RUUN x"),
    code: "manifest_invalid",
    cause: /^Dockerfile is not valid \(line 2\): unknown instruction: RUUN/u,
    telling: /^Dockerfile:2: RUUN x$/mu
  },
  {
    of: "an empty Dockerfile",
    files: () => ({ Dockerfile: "" }),
    code: "manifest_invalid",
    cause: /^Dockerfile can not be built: .*empty/u,
    telling: /Correct the file/u
  },
  {
    of: "a variable that is not there",
    files: docker("RUN --mount=type=secret,id=TOKEN,required=true true"),
    code: "build_failed",
    cause: /asks for the secret 'TOKEN'/u,
    telling: /Set the variable TOKEN/u
  },
  {
    of: "a step on the server's own network",
    files: docker("RUN --network=host true"),
    code: "manifest_invalid",
    cause: /network/u,
    telling: /./u
  },
  {
    of: "a base image that can not be had",
    files: () => ({ Dockerfile: "FROM registry.invalid/x:1\n" }),
    code: "build_failed",
    cause: /^The registry of the image 'registry\.invalid\/x:1' could not be reached\.$/u,
    telling: /redeploy_service/u
  },
  {
    of: "a base image of the operator's that can not be had",
    files: () => program("true"),
    settings: { nodeImage: "nosuchimage:9" },
    code: "toolchain_missing",
    cause: /^The image 'nosuchimage:9', which builds start from, could not be fetched\.$/u,
    telling: /docker pull nosuchimage:9/u
  },
  {
    of: "a machine without buildx",
    files: () => program("true"),
    settings: { buildx: Option.some("/nowhere/docker-buildx") },
    code: "toolchain_missing",
    cause: /buildx, is not installed/u,
    telling: /docker-buildx/u
  },
  {
    of: "a step that takes too long",
    files: () => program(`echo still at it && ${endless}`),
    settings: { stepTimeout: Duration.seconds(3) },
    code: "build_timed_out",
    cause: /^'npm run build' did not end within 3s\.$/u,
    telling: /^still at it$/mu
  },
  {
    of: "an image that is too large",
    files: () => program("true"),
    settings: { outputLimit: 1024 ** 2 },
    code: "output_too_large",
    cause: /^The build output is larger than 1 MiB\.$/u,
    telling: /./u
  }
]

if (isInstalled) {
  layer(world, { excludeTestServices: true })("builds with Docker that fail", (it) => {
    for (const { of, files, code, cause, telling, settings = {} } of told) {
      it.effect(`tell of ${of}, and leave nothing`, () =>
        Effect.gen(function* () {
          const bench = yield* makeBench(settings)
          const key = newKey()
          const found = yield* failure(bench.run(files((yield* DockerWorld).image), { key }))
          assert.strictEqual(found.code, code, found.cause)
          assert.match(found.cause, cause)
          assert.match([...found.evidence, found.next].join("\n"), telling)
          assert.isNull(yield* bench.build.find(key))
          yield* isGone(endless)
          assert.deepStrictEqual(yield* leftovers, [])
        })
      )
    }

    it.effect("are worth another try when the engine is away", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench({ socket: "/nowhere.sock" })
        const { reason } = yield* Effect.flip(bench.run(program("true")))
        assert.strictEqual(reason._tag, "Unavailable")
      })
    )

    it.effect("end with all they started when they are interrupted, and show no value", () =>
      Effect.gen(function* () {
        const started = yield* Deferred.make<void>()
        const bench = yield* makeBench({}, (text) => {
          if (text === "endless") Deferred.doneUnsafe(started, Effect.void)
        })
        const files = program(`echo endless && ${endless}`)
        const variables = { TOKEN: "a-value-of-a-tenant" }
        const fiber = yield* Effect.forkChild(bench.run(files, { variables }))
        yield* Effect.raceFirst(Deferred.await(started), Fiber.join(fiber))
        const { home } = yield* DockerWorld
        const isClient = (line: string) =>
          line.includes("docker-buildx build") && line.includes(home)
        const running = commandLines()
        assert.isTrue(running.some(isClient))
        assert.isFalse(running.some((line) => line.includes(variables.TOKEN)))
        yield* Fiber.interrupt(fiber)
        assert.isFalse(commandLines().some(isClient))
        yield* isGone(endless)
        assert.deepStrictEqual(yield* leftovers, [])
      })
    )

    it.effect("at any moment leave a whole image or none", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const build = (n: number) => program(`head -c 20000000 /dev/zero > big && echo ${n}`)
        const start = yield* Clock.currentTimeMillis
        yield* bench.run(build(0))
        const whole = (yield* Clock.currentTimeMillis) - start
        for (const part of [0.3, 0.6, 0.8, 0.9, 1]) {
          const key = newKey()
          // Not a wait: the moment at which it is cut.
          yield* Effect.timeoutOption(bench.run(build(part), { key }), whole * part)
          assert.deepStrictEqual(yield* leftovers, [], `cut at ${part}`)
          const found = yield* bench.build.find(key)
          if (found !== null) assert.isAbove(found.bytes, 20_000_000)
        }
      })
    )

    it.effect("by a platform that is gone are swept at the next start", () =>
      Effect.gen(function* () {
        const { engine, image } = yield* DockerWorld
        const { text } = yield* engine.call("POST", "/containers/create", { Image: image })
        const id = /"Id":"(\w+)"/u.exec(text)?.[1]
        const change = encodeURIComponent("LABEL deploy-mcp.work=999999999.1.abcdef")
        yield* engine.call("POST", `/commit?container=${id}&changes=${change}`, {})
        yield* engine.call("DELETE", `/containers/${id}`)
        assert.lengthOf(yield* leftovers, 1)
        yield* makeBench()
        assert.deepStrictEqual(yield* leftovers, [])
      })
    )
  })
} else {
  it.skip("builds with Docker that fail", () => {})
}
