/** Checkouts of strangers: each gets a plan whose paths stay in it, or a failure of the catalogue. */
import { failureOf } from "@deploy-mcp/domain/Fault"
import { ServiceSettings } from "@deploy-mcp/domain/model/Service"
import { makeBench } from "@deploy-mcp/providers/build/detection/DetectionBench"
import { Effect, Result, Schema } from "effect"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { holds, patience } from "./Law.ts"
import { jumble, word } from "./Words.ts"

const text = fc.oneof({ weight: 3, arbitrary: word }, { weight: 1, arbitrary: fc.string() })
const lines = (line: fc.Arbitrary<string>) =>
  fc.array(line, { maxLength: 12 }).map((each) => each.join("\n"))

const procfile = lines(
  fc.oneof(
    fc
      .tuple(fc.constantFrom("web", "release", "worker", "__proto__", "a b", ""), text)
      .map(([name, command]) => `${name}: ${command}`),
    text
  )
)
const names = fc.dictionary(fc.oneof(jumble, fc.constantFrom("vite", "next", "express")), word, {
  maxKeys: 4
})
const manifest = fc.oneof(
  fc
    .record(
      {
        name: word,
        version: word,
        main: fc.oneof(jumble, fc.constantFrom("../a.js", "/etc/passwd", "a.js", "./b", "lib/")),
        scripts: fc.dictionary(fc.constantFrom("start", "build", "dev", "prepare"), word),
        dependencies: names,
        devDependencies: names,
        engines: fc.dictionary(fc.constantFrom("node", "npm"), word),
        packageManager: fc.oneof(
          word,
          fc.constantFrom("pnpm@9.0.0", "yarn@4", "bun@", "npm@latest")
        )
      },
      { requiredKeys: [] }
    )
    .map((fields) => JSON.stringify(fields)),
  fc.json(),
  text
)
const lock = fc.oneof(fc.json(), text, fc.constant('{"lockfileVersion":3,"packages":{}}'))
const toml = lines(
  fc.oneof(
    text,
    fc
      .tuple(fc.constantFrom("name", "dependencies", "requires-python"), jumble)
      .map(([key, value]) => `${key} = ${JSON.stringify(value)}`),
    fc.constantFrom("[project]", "[tool.uv]", "[build-system]", "[[")
  )
)

const files: fc.Arbitrary<Record<string, string>> = fc.record(
  {
    Procfile: procfile,
    "package.json": manifest,
    "package-lock.json": lock,
    "pnpm-lock.yaml": text,
    "yarn.lock": text,
    Staticfile: fc.oneof(
      text,
      jumble.map((path) => `root: ${path}`)
    ),
    "index.html": text,
    "server.js": text,
    "a.js": text,
    "vite.config.js": text,
    "requirements.txt": lines(text),
    "pyproject.toml": toml,
    "runtime.txt": text,
    ".python-version": text,
    "main.py": text,
    "go.mod": lines(fc.oneof(text, fc.constantFrom("module a", "go 1.22", "toolchain go1.22.1"))),
    "main.go": text
  },
  { requiredKeys: [] }
)

const settings = fc.record(
  {
    build_pack: fc.constantFrom("auto", "node", "static", "python", "go", "dockerfile"),
    start_command: word.filter(Schema.is(ServiceSettings.fields.start_command))
  },
  { requiredKeys: [] }
)

describe("a checkout", () => {
  it(
    "is planned within its folder, or refused with a reason and a next step",
    () =>
      holds(
        fc.tuple(files, settings),
        ([checkout, given]) =>
          Effect.gen(function* () {
            const { plan } = yield* makeBench()
            const outcome = yield* Effect.result(plan(checkout, given))
            if (Result.isFailure(outcome)) {
              const { cause, code, next } = failureOf(outcome.failure.reason)
              assert.notInclude(["internal", "unavailable"], code, cause)
              assert.isNotEmpty(cause)
              assert.isNotEmpty(next)
              return
            }
            const { detected, notes = [], publish = ".", workers = {} } = outcome.success
            assert.notMatch(publish, /^\/|(?:^|\/)\.\.(?:\/|$)|\0/u)
            for (const name of Object.keys(workers)) assert.match(name, /^[A-Za-z][\w-]{0,39}$/u)
            for (const line of [detected, ...notes]) assert.notInclude(line, "\n")
          }).pipe(Effect.scoped, Effect.runPromise),
        120
      ),
    patience
  )
})
