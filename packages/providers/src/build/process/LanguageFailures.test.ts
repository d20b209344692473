/** What the tools of Python and Go complain about, by the real ones where the machine has them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { failure } from "../detection/DetectionBench.ts"
import { isUsable, makeBench } from "./BuildBench.ts"

type Files = Readonly<Record<string, string>>

const cases: ReadonlyArray<readonly [string, Files, "python" | "go", string, RegExp]> = [
  [
    "a version that was never published",
    { "app.py": "", "requirements.txt": "flask==0.0.0.1\n" },
    "python",
    "install_failed",
    /No matching distribution found for flask==0\.0\.0\.1/u
  ],
  [
    "a go.sum without an entry",
    {
      "go.mod": "module x\n\ngo 1.21\n\nrequire github.com/google/uuid v1.6.0\n",
      "go.sum": "",
      "main.go":
        'package main\n\nimport "github.com/google/uuid"\n\nfunc main() { println(uuid.NewString()) }\n'
    },
    "go",
    "lockfile_outdated",
    /go mod tidy/u
  ],
  [
    "a Go that does not exist yet",
    { "go.mod": "module x\n\ngo 1.999\n", "main.go": "package main\n\nfunc main() {}\n" },
    "go",
    "toolchain_missing",
    /1\.999/u
  ],
  [
    "an import that go.mod does not name",
    {
      "go.mod": "module x\n\ngo 1.21\n",
      "main.go": 'package main\n\nimport _ "example.com/a/b"\n\nfunc main() {}\n'
    },
    "go",
    "build_failed",
    /example\.com\/a\/b/u
  ]
]

describe("what is told", () => {
  for (const [name, files, kind, code, telling] of cases) {
    it.live(`of ${name}`, () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const found = yield* failure(bench.run(files))
        const here = yield* isUsable(kind)
        assert.strictEqual(found.code, here ? code : "toolchain_missing", found.cause)
        if (here) assert.match([found.cause, ...found.evidence, found.next].join("\n"), telling)
      })
    )
  }

  it.live("of a release process, which does not run; the others go with the artifact", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const Procfile = "web: node server.js\nclock: node clock.js\nrelease: node migrate.js\n"
      const { runtime } = yield* bench.run({ "server.js": "", Procfile })
      assert.include(bench.log, "platform Process clock: node clock.js")
      assert.match(bench.log.join("\n"), /^platform Process release is not run: .*web: npm run/mu)
      assert.deepInclude(runtime, {
        start: "exec node server.js",
        workers: { clock: "exec node clock.js" }
      })
    })
  )
})
