/** The text of what is made for detected projects, and what its lines may hold. */
import type { BuildPlan } from "@deploy-mcp/domain/model/Artifact"
import { assert, describe, it } from "vitest"
import { commandOf, dockerfile, type Recipe } from "./Dockerfile.ts"

const recipe = (plan: Omit<BuildPlan, "toolchain" | "detected">, more = {}): Recipe => ({
  plan: { toolchain: [], detected: "", ...plan },
  images: {
    node: "node:26-slim",
    python: "python:3.14-slim",
    go: "golang:1.26",
    goRun: "alpine:3"
  },
  apart: false,
  cache: "CACHE",
  install: "INSTALL",
  build: "BUILD",
  ca: false,
  ...more
})

const mounts = (settings: string) =>
  `--mount=type=tmpfs,target=/root --mount=type=cache,id=CACHE,target=/var/cache/build --mount=type=secret,id=${settings},target=/run/secrets/settings`
const run = (settings: string, line: string) =>
  `RUN ${mounts(settings)} ["/bin/sh","-c",". /run/secrets/settings && ${line}"]`

const ending = (start: string) => [
  "ENV HOME=/tmp",
  "USER 65534:65534",
  "ENTRYPOINT []",
  `CMD ["/bin/sh","-c","${start}"]`
]

describe("what is made", () => {
  const cases: ReadonlyArray<[name: string, Recipe, ReadonlyArray<string>]> = [
    [
      "of Node with dependencies apart",
      recipe(
        { kind: "node", install: "npm ci", build: "npm run build", start: "exec node a.js" },
        { apart: true }
      ),
      [
        "FROM node:26-slim",
        "USER 0",
        "WORKDIR /app",
        "COPY install/ ./",
        run("INSTALL", "npm ci"),
        "COPY source/ ./",
        run("BUILD", "npm run build"),
        ...ending("exec node a.js")
      ]
    ],
    [
      "of Python whose install needs the sources",
      recipe({ kind: "python", install: "pip install .", start: "exec python3 app.py" }),
      [
        "FROM python:3.14-slim",
        "USER 0",
        "WORKDIR /app",
        "COPY source/ ./",
        run("INSTALL", "pip install ."),
        ...ending("exec python3 app.py")
      ]
    ],
    [
      "of Go",
      recipe({ kind: "go", build: "go build -o out .", start: "exec ./out" }),
      [
        "FROM golang:1.26 AS build",
        "USER 0",
        "WORKDIR /app",
        "COPY source/ ./",
        run("BUILD", "go build -o out ."),
        "FROM alpine:3",
        "WORKDIR /app",
        "COPY --from=build /app/ ./",
        ...ending("exec ./out")
      ]
    ],
    [
      "of a site",
      recipe({ kind: "static", build: "make" }),
      [
        "FROM node:26-slim AS build",
        "USER 0",
        "WORKDIR /app",
        "COPY source/ ./",
        run("BUILD", "make"),
        'RUN ["rm","-rf","node_modules"]',
        "FROM scratch",
        "COPY --from=build /app/ /"
      ]
    ]
  ]
  it.each(cases)("%s", (_, wanted, lines) => {
    assert.deepStrictEqual(dockerfile(wanted).trimEnd().split("\n"), lines)
  })

  it("has certificates where they are configured", () => {
    const text = dockerfile(recipe({ kind: "static", build: "make" }, { ca: true }))
    assert.include(text, " --mount=type=secret,id=ca,target=/run/secrets/ca [")
  })
})

describe("a tenant's command", () => {
  const lines = [
    "echo \"a\" && echo 'b' \\",
    "cat <<END",
    "echo $HOME `id` $(id) # no comment",
    'x"]\\nRUN y',
    "ümläut ✓"
  ]
  it.each(lines)("stays one word of one line: %s", (line) => {
    const text = dockerfile(recipe({ kind: "node", build: line, start: line }))
    assert.lengthOf(text.trimEnd().split("\n"), 9)
    const instruction = text.split("\n").find((each) => each.startsWith("RUN ")) ?? ""
    assert.strictEqual(commandOf(instruction), line)
    const start = text.split("\n").find((each) => each.startsWith("CMD ")) ?? ""
    assert.deepStrictEqual(JSON.parse(start.slice(4)), ["/bin/sh", "-c", line])
  })

  it("is not found in what is ours alone", () => {
    assert.isNull(commandOf('RUN ["rm","-rf","node_modules"]'))
    assert.isNull(commandOf("COPY source/ ./"))
  })
})
