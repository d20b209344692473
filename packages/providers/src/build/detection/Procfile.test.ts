import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Files, failure, makeBench, pkg } from "./DetectionBench.ts"

const planOf = (Procfile: string, files: Files = { "server.js": "" }, settings = {}) =>
  Effect.gen(function* () {
    return yield* (yield* makeBench()).plan({ ...files, Procfile }, settings)
  })

const refused = (Procfile: string, files: Files = { "server.js": "" }, settings = {}) =>
  Effect.gen(function* () {
    return yield* failure((yield* makeBench()).plan({ ...files, Procfile }, settings))
  })

describe("a Procfile", () => {
  it.live("runs whatever is not web or release beside web", () =>
    Effect.gen(function* () {
      const plan = yield* planOf(
        "# jobs\r\nweb: node web.js\r\n\r\nmail-queue:   node mail.js --loud  \r\nclock: a | b\r\n"
      )
      assert.strictEqual(plan.start, "exec node web.js")
      assert.deepStrictEqual(plan.workers, {
        "mail-queue": "exec node mail.js --loud",
        clock: 'export PATH="$PWD/node_modules/.bin:$PATH"; a | b'
      })
      assert.deepStrictEqual(plan.notes, [
        "Process web: node web.js",
        "Process mail-queue: node mail.js --loud",
        "Process clock: a | b"
      ])
    })
  )

  it.live("says nothing more where web is alone", () =>
    Effect.gen(function* () {
      const plan = yield* planOf("web: node web.js")
      assert.isUndefined(plan.workers)
      assert.isUndefined(plan.notes)
    })
  )

  it.live("gives workers what the language gives web", () =>
    Effect.gen(function* () {
      const scripts = { start: "node x", jobs: "tsx jobs.ts" }
      const devDependencies = { tsx: "1.0.0" }
      const lock = { "package-lock.json": "{}" }
      const node = yield* planOf("worker: npm run jobs", {
        ...lock,
        "package.json": pkg({ scripts, devDependencies })
      })
      const path = 'export PATH="$PWD/node_modules/.bin:$PATH"; '
      assert.deepStrictEqual(node.workers, { worker: `${path}exec tsx jobs.ts` })
      assert.match(node.install ?? "", /npm ci(?!.*omit=dev)/u)

      const python = yield* planOf("worker: celery -A app worker", { "app.py": "" })
      assert.match(python.workers?.worker ?? "", /\.venv\/bin.*; exec celery -A app worker$/u)
      const go = yield* planOf("worker: ./out jobs", { "main.go": "" })
      assert.deepStrictEqual(go.workers, { worker: "./out jobs" })
    })
  )

  it.live("without web leaves what answers to the other rules, and says so", () =>
    Effect.gen(function* () {
      const plan = yield* planOf("worker: node w.js")
      assert.strictEqual(plan.start, "exec node server.js")
      assert.deepStrictEqual(plan.workers, { worker: "exec node w.js" })
      assert.deepStrictEqual(plan.notes, [
        "Procfile has no 'web' process: it does not decide what answers requests.",
        "Process worker: node w.js"
      ])
      const settings = { start_command: "node mine.js" }
      const asked = yield* planOf("worker: node w.js", { "w.js": "" }, settings)
      assert.strictEqual(asked.start, "exec node mine.js")
      assert.deepStrictEqual(asked.notes, [
        "Process web: node mine.js",
        "Process worker: node w.js"
      ])
    })
  )

  it.live("with workers alone makes a worker, unless something that answers was asked for", () =>
    Effect.gen(function* () {
      for (const files of [
        { "jobs.sh": "" },
        { "package.json": pkg({ scripts: { jobs: "x" } }) },
        { "requirements.txt": "celery" }
      ]) {
        const procfile = "clock: true\nworker: sh jobs.sh"
        const plan = yield* planOf(procfile, files)
        assert.isFalse(plan.listens)
        assert.match(plan.start ?? "", /sh jobs\.sh$/u)
        assert.hasAllKeys(plan.workers, ["clock"])
        assert.deepStrictEqual(plan.notes, [
          "This is a worker, which has no port: sh jobs.sh",
          "Process clock: true"
        ])
        const found = yield* refused("worker: sh jobs.sh\nclock: true", files, { type: "webapp" })
        assert.strictEqual(found.code, "no_start_command")
        assert.match(found.cause, /has only worker, clock: nothing in it/u)
        assert.match(found.next, /'web: <command>'.*PORT.*start_command/u)
      }
      const other = yield* refused("web: x", { "go.mod": "module x\n" })
      assert.match(other.cause, /no \.go file/u)
    })
  )

  it.live("runs nothing beside a site of files", () =>
    Effect.gen(function* () {
      const plan = yield* planOf("worker: node w.js", { "index.html": "" })
      assert.strictEqual(plan.kind, "static")
      assert.isUndefined(plan.workers)
      assert.deepStrictEqual(plan.notes, [
        "This is a site of files, which runs no processes; not run: worker."
      ])
    })
  )

  it.live("has at most eight workers", () =>
    Effect.gen(function* () {
      const lines = (count: number) =>
        ["web: x", ...Array.from({ length: count }, (_, at) => `w${at}: node w.js`)].join("\n")
      assert.lengthOf(Object.keys((yield* planOf(lines(8))).workers ?? {}), 8)
      const found = yield* refused(lines(9))
      assert.strictEqual(found.code, "manifest_invalid")
      assert.match(found.cause, /9 processes beside web, and at most 8/u)
    })
  )

  it.live("leaves out lines that it can't read, and says which and why", () =>
    Effect.gen(function* () {
      const plan = yield* planOf(
        "just words\n9lives: x\nempty:\nweb: node a.js\nweb: node b.js\nok: true\n"
      )
      assert.strictEqual(plan.start, "exec node a.js")
      assert.deepStrictEqual(Object.keys(plan.workers ?? {}), ["ok"])
      assert.deepStrictEqual(plan.notes?.slice(0, 4), [
        "Line 1 of the Procfile is left out: it is not of the form 'name: command'.",
        "Line 2 of the Procfile is left out: a name has 1 to 40 letters, digits, '_' and '-', and starts with a letter.",
        "Line 3 of the Procfile is left out: 'empty' has no command.",
        "Line 5 of the Procfile is left out: 'web' is there already."
      ])
      const noise = yield* planOf(`${"words\n".repeat(100)}web: node a.js`)
      assert.lengthOf(noise.notes ?? [], 5)
    })
  )

  it.live("says what becomes of release", () =>
    Effect.gen(function* () {
      const plan = yield* planOf("web: node a.js\nrelease: node migrate.js")
      assert.isUndefined(plan.workers)
      assert.match(plan.notes?.join("\n") ?? "", /^Process release is not run: .*start command/u)
    })
  )
})
