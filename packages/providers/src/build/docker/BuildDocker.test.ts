/** What builds leave, by the real BuildKit in a real Docker Engine. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it, layer } from "@effect/vitest"
import { Effect, Option } from "effect"
import { sampleFiles } from "../BuildSamples.ts"
import { pkg } from "../detection/DetectionBench.ts"
import { packageRegistry } from "../PackageRegistry.ts"
import {
  DockerWorld,
  filesOf,
  imageOf,
  isInstalled,
  leftovers,
  makeBench,
  printed,
  world
} from "./DockerBench.ts"

const start = (script: string, more = {}) => ({
  "package.json": pkg({ scripts: { start: "node server.js", ...more } }),
  "server.js": script
})

if (isInstalled) {
  layer(world, { excludeTestServices: true })("builds with Docker", (it) => {
    it.effect("a program becomes an image that starts it, as a user without rights", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const files = start(
          "console.log([process.getuid(), process.cwd(), process.env.HOME].join())"
        )
        const artifact = yield* bench.run(files)
        const image = imageOf(artifact)
        assert.strictEqual(artifact.directory, "")
        assert.isAbove(artifact.bytes, 50_000_000)
        assert.strictEqual(yield* printed(image), "65534,/app,/tmp\r\n")
        assert.deepStrictEqual(yield* filesOf(image), files)
        assert.deepStrictEqual(yield* leftovers, [])
      })
    )

    it.effect("dependencies are a layer of their own: a change of code asks no registry", () =>
      Effect.gen(function* () {
        const { engine, home } = yield* DockerWorld
        const registry = yield* packageRegistry(engine.host, home)
        const bench = yield* makeBench({ npmRegistry: Option.some(registry.url) })
        const server = "console.log(require('greeting'))"
        const first = yield* bench.run({ ...registry.files, "server.js": server })
        assert.strictEqual(yield* printed(imageOf(first)), "good morning\r\n")
        assert.include(bench.log, "platform $ npm ci --omit=dev")
        assert.include(registry.asked, "/greeting.tgz")
        const asked = registry.asked.length
        const changed = { ...registry.files, "server.js": `${server} // changed` }
        const second = yield* bench.run(changed)
        assert.strictEqual(yield* printed(imageOf(second)), "good morning\r\n")
        assert.include(bench.log, "platform Dependencies are unchanged: using the installed ones")
        assert.strictEqual(registry.asked.length, asked)
      })
    )

    it.effect("a Go program is built on one image and runs on another", () =>
      Effect.gen(function* () {
        const { engine, image } = yield* DockerWorld
        // It stands for the real one, which no test can fetch: `go build -o out .` writes a program.
        const go = "#!/bin/sh\necho 'echo runs as $0' > out && chmod +x out\n"
        const base = yield* (yield* makeBench()).run({
          Dockerfile: `FROM ${image}\nCOPY --chmod=755 go /usr/local/bin/go\n`,
          go
        })
        yield* engine.call("POST", `/images/${imageOf(base)}/tag?repo=deploy-mcp-test/go&tag=1`)
        const bench = yield* makeBench({ goImage: "deploy-mcp-test/go:1" })
        const files = { "go.mod": "module x\n\ngo 1.26\n", "main.go": "package main\n" }
        const artifact = yield* bench.run(files)
        assert.strictEqual(yield* printed(imageOf(artifact)), "runs as ./out\r\n")
        const tools = yield* printed(imageOf(artifact), "sh", "-c", "go version; ls /app")
        assert.match(tools, /go: not found\s+go\.mod\s+main\.go\s+out\s*$/u)
      })
    )

    it.effect("a Dockerfile is built as it is, and sees a variable where it asks for it", () =>
      Effect.gen(function* () {
        const { engine, image } = yield* DockerWorld
        yield* engine.call("POST", `/images/${image}/tag?repo=node&tag=26-slim`)
        const bench = yield* makeBench()
        const files = sampleFiles("dockerfile")
        const built = (artifact: Parameters<typeof imageOf>[0]) =>
          printed(imageOf(artifact), "cat", "built.txt")
        const first = yield* bench.run(files)
        assert.strictEqual(yield* built(first), "without a token")
        assert.strictEqual((yield* printed(imageOf(first), "id", "-u")).trim(), "1000")
        const variables = { TOKEN: "0123456789" }
        const second = yield* bench.run(files, { variables })
        assert.strictEqual(yield* built(second), "with a token")
        assert.isTrue(bench.log.some((line) => /^platform \[.*4\/4\] RUN .*build\.js$/u.test(line)))
      })
    )

    it.effect("commands of the settings and of a Procfile go with the image", () =>
      Effect.gen(function* () {
        const { image } = yield* DockerWorld
        const bench = yield* makeBench()
        const files = { Dockerfile: `FROM ${image}\n`, Procfile: "web: sleep 7\nclock: sleep 8\n" }
        const artifact = yield* bench.run(files)
        assert.deepStrictEqual(artifact.runtime, {
          kind: "image",
          image: imageOf(artifact),
          start: "sleep 7",
          workers: { clock: "sleep 8" }
        })
        const again = yield* makeBench()
        assert.deepStrictEqual(yield* again.build.find(artifact.key), artifact)
      })
    )

    it.effect("a value that a build sees is in no layer, no history and no folder", () =>
      Effect.gen(function* () {
        const { engine, image, home } = yield* DockerWorld
        const value = "s3cr3t-value-of-a-tenant"
        const bench = yield* makeBench()
        const generated = start("", { build: 'test -n "$TOKEN" && echo ok > built' })
        const given = {
          Dockerfile: `FROM ${image}\nRUN --mount=type=secret,id=TOKEN test -s /run/secrets/TOKEN\n`
        }
        const images: Array<string> = []
        for (const files of [generated, given]) {
          const artifact = yield* bench.run(files, { variables: { TOKEN: value } })
          images.push(imageOf(artifact))
          const { text } = yield* engine.call("GET", `/images/${imageOf(artifact)}/history`)
          assert.include(text, "CreatedBy")
          assert.notInclude(text, value)
        }
        // Every layer of both, as a tar of tars.
        const names = images.map((name) => `names=${name}`).join("&")
        const { text: saved } = yield* engine.call("GET", `/images/get?${names}`)
        assert.include(saved, "manifest.json")
        assert.notInclude(saved, value)
        const files = readdirSync(join(home, "build"), { recursive: true, withFileTypes: true })
        for (const file of files.filter((entry) => entry.isFile())) {
          assert.notInclude(readFileSync(join(file.parentPath, file.name), "utf8"), value)
        }
      })
    )

    it.effect("a step runs again when a value that it sees has changed, and only then", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const files = start("", { build: "echo $TOKEN | wc -c > length" })
        const length = (TOKEN: string) =>
          Effect.gen(function* () {
            const artifact = yield* bench.run(files, { variables: { TOKEN } })
            return (yield* filesOf(imageOf(artifact))).length?.trim()
          })
        assert.strictEqual(yield* length("12345"), "6")
        assert.strictEqual(yield* length("1234567"), "8")
        assert.strictEqual(yield* length("12345"), "6")
        assert.include(bench.log, "platform $ npm run build (unchanged)")
      })
    )

    it.effect("what a build makes of a site is a folder, without the dependencies", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const build = "mkdir -p dist/a node_modules && echo $GREETING > dist/index.html"
        const files = { "package.json": pkg({ scripts: { build }, devDependencies: {} }) }
        const artifact = yield* bench.run(files, { variables: { GREETING: "it's me" } })
        assert.deepStrictEqual(artifact.runtime, { kind: "static", publish: "." })
        assert.deepStrictEqual(readdirSync(artifact.directory).sort(), ["a", "index.html"])
        const page = readFileSync(join(artifact.directory, "index.html"), "utf8")
        assert.strictEqual(page, "it's me\n")
        assert.deepStrictEqual(yield* bench.build.find(artifact.key), artifact)
        yield* bench.build.remove(artifact.key)
        assert.isNull(yield* bench.build.find(artifact.key))
        assert.deepStrictEqual(yield* leftovers, [])
      })
    )

    it.effect("says how builds are fenced", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        assert.match(yield* bench.build.isolation, /^Docker \d+\.\d+.*container of its own$/u)
        const away = yield* makeBench({ socket: "/nowhere.sock" })
        assert.match(yield* away.build.isolation, /does not answer at \/nowhere\.sock$/u)
      })
    )
  })
} else {
  it.skip("builds with Docker", () => {})
}
