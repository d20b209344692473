/** What is planned for Python and Go, and where a Procfile says how; no language is needed. */
import type { ServiceSettings } from "@deploy-mcp/domain/model/Service"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Files, failure, makeBench, pkg } from "./DetectionBench.ts"

/** What comes before it is the same for all. */
const python = (command: string) => `PYTHONUNBUFFERED=1; exec ${command}`
const fastapi = "from fastapi import FastAPI\n\napi: FastAPI = FastAPI(title='x')\n"
const flask = "import flask\napp = flask.Flask(__name__)\n"

interface Case {
  readonly name: string
  readonly files: Files
  readonly settings?: Partial<ServiceSettings>
  readonly expected: Readonly<Record<string, unknown>>
}

const cases: ReadonlyArray<Case> = [
  {
    name: "a lone Python file",
    files: { "main.py": "" },
    expected: { kind: "python", install: undefined, start: python("python3 main.py") }
  },
  {
    name: "Python before Node",
    files: { "app.py": "", "package.json": pkg({ scripts: { start: "node x" } }) },
    expected: { kind: "python" }
  },
  {
    name: "Node when it is asked for",
    files: { "app.py": "", "server.js": "" },
    settings: { build_pack: "node" },
    expected: { kind: "node" }
  },
  {
    name: "requirements",
    files: { "app.py": "", "requirements.txt": "x==1" },
    expected: {
      detected: "requirements.txt",
      install: "python3 -m venv .venv && .venv/bin/python3 -m pip install -r requirements.txt"
    }
  },
  {
    name: "FastAPI under another name, with uvicorn",
    files: { "main.py": fastapi, "requirements.txt": "fastapi\nuvicorn[standard]\n" },
    expected: { start: python("python3 -m uvicorn main:api --host 0.0.0.0 --port $PORT") }
  },
  {
    name: "FastAPI that brings no server",
    files: { "main.py": fastapi, "requirements.txt": "fastapi\n# not uvicorn\n" },
    expected: { start: python("python3 main.py") }
  },
  {
    name: "Flask alone",
    files: { "app.py": flask, "requirements.txt": "flask" },
    expected: { start: python("python3 -m flask --app app:app run --host 0.0.0.0 --port $PORT") }
  },
  {
    name: "Flask with gunicorn",
    files: { "app.py": flask, "requirements.txt": "flask\ngunicorn" },
    expected: { start: python("python3 -m gunicorn app:app --bind 0.0.0.0:$PORT") }
  },
  {
    name: "Django",
    files: { "manage.py": "", "shop/wsgi.py": "", "requirements.txt": "django\ngunicorn" },
    expected: { start: python("python3 -m gunicorn shop.wsgi --bind 0.0.0.0:$PORT") }
  },
  {
    name: "a Go module",
    files: { "go.mod": "module x\n", "main.go": "" },
    expected: { kind: "go", install: undefined, build: "go build -o out .", start: "exec ./out" }
  },
  {
    name: "Go before Python",
    files: { "go.mod": "module x\n", "main.go": "", "main.py": "" },
    expected: { kind: "go" }
  },
  {
    name: "Go with requirements",
    files: { "go.mod": "module x\nrequire a v1.0.0\n", "go.sum": "", "x.go": "" },
    expected: { install: "go mod download" }
  },
  {
    name: "a Go program in cmd",
    files: { "go.mod": "module x\n", "cmd/api/main.go": "", "cmd/docs/x.md": "" },
    expected: { build: "go build -o out ./cmd/api" }
  },
  {
    name: "a Procfile",
    files: { "server.js": "", Procfile: "# x\nworker: node w.js\nweb:  node web.js --fast \n" },
    expected: {
      kind: "node",
      start: "exec node web.js --fast",
      workers: { worker: "exec node w.js" },
      notes: ["Process web: node web.js --fast", "Process worker: node w.js"]
    }
  },
  {
    name: "a Procfile for Python",
    files: { "app.py": flask, Procfile: "web: gunicorn app:app -b 0.0.0.0:$PORT" },
    expected: {
      start: python("gunicorn app:app -b 0.0.0.0:$PORT"),
      workers: undefined,
      notes: undefined
    }
  },
  {
    name: "start_command before the Procfile",
    files: { "server.js": "", Procfile: "web: node web.js" },
    settings: { start_command: "node mine.js" },
    expected: { start: "exec node mine.js" }
  }
]

const withoutExports = (value: unknown) =>
  typeof value === "string"
    ? value.replace(/^export PATH="\$PWD\/\.venv\/bin:\$PATH" .*(?=PYTHONUNBUFFERED)/u, "")
    : value

describe("what is planned", () => {
  for (const { name, files, settings, expected } of cases) {
    it.live(name, () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const plan = yield* bench.plan(files, settings)
        const seen = Object.fromEntries(
          Object.keys(expected).map((key) => [key, withoutExports(Reflect.get(plan, key))])
        )
        assert.deepStrictEqual(seen, expected)
        const version = plan.toolchain.some((each) => each.startsWith(`${plan.kind} `))
        assert.isTrue(version, "the language's version shapes the artifact")
      })
    )
  }
})

describe("what is refused", () => {
  it.live("a language that is not there", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench("python", "go")
      for (const files of [{ "main.py": "" }, { "go.mod": "module x\n", "main.go": "" }]) {
        const found = yield* failure(bench.plan(files))
        assert.strictEqual(found.code, "toolchain_missing")
        assert.match(found.cause, /Python 3|Go/u)
      }
    })
  )

  const refused: ReadonlyArray<readonly [string, Files, string, RegExp]> = [
    ["nothing to start", { "requirements.txt": "x" }, "no_start_command", /main\.py/u],
    [
      "poetry's lockfile",
      { "app.py": "", "pyproject.toml": "", "poetry.lock": "" },
      "toolchain_missing",
      /requirements\.txt/u
    ],
    [
      "a go.mod without its go.sum",
      { "go.mod": "module x\nrequire a v1.0.0\n", "main.go": "" },
      "lockfile_missing",
      /go mod tidy/u
    ],
    [
      "more than one Go program",
      { "go.mod": "module x\n", "cmd/a/main.go": "", "cmd/b/main.go": "" },
      "no_start_command",
      /cmd\/a/u
    ]
  ]
  for (const [name, files, code, telling] of refused) {
    it.live(name, () =>
      Effect.gen(function* () {
        const found = yield* failure((yield* makeBench()).plan(files))
        assert.strictEqual(found.code, code)
        assert.match([found.cause, ...found.evidence, found.next].join("\n"), telling)
      })
    )
  }
})
