/** What type and schedule make of the same files. */
import type { ServiceSettings } from "@deploy-mcp/domain/model/Service"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Files, failure, makeBench, pkg } from "./DetectionBench.ts"

type Settings = Partial<ServiceSettings>
const server = { "server.js": "" }
const site = { "index.html": "" }
const both = { ...server, Procfile: "web: node web.js\nclock: node c.js\nworker: node w.js" }
const nightly: Settings = { schedule: "30 3 * * *" }

describe("what runs", () => {
  const cases: ReadonlyArray<
    readonly [what: string, Files, Settings, Readonly<Record<string, unknown>>]
  > = [
    ["a program that answers has no word about it", server, {}, { listens: undefined }],
    ["a webapp is that program", server, { type: "webapp" }, { listens: undefined }],
    ["and so is a backend", server, { type: "backend" }, { listens: undefined }],
    ["a site is one", site, { type: "webapp_static" }, { kind: "static", listens: undefined }],
    [
      "a worker is what is detected",
      server,
      { type: "worker" },
      { start: "exec node server.js", listens: false }
    ],
    [
      "or start_command",
      server,
      { type: "worker", start_command: "node w.js" },
      { start: "exec node w.js", listens: false }
    ],
    [
      "or the Procfile's, without its web",
      both,
      { type: "worker" },
      { start: "exec node w.js", workers: { clock: "exec node c.js" }, listens: false }
    ],
    [
      "start_command stands for the process of that name",
      both,
      { type: "worker", start_command: "node mine.js" },
      { start: "exec node mine.js", workers: { clock: "exec node c.js" } }
    ],
    [
      "a web process that is alone becomes the worker",
      { Procfile: "web: node web.js" },
      { type: "worker" },
      { start: "exec node web.js", workers: undefined, listens: false }
    ],
    [
      "a run is what is detected",
      { "package.json": pkg({ scripts: { start: "node report.js" } }) },
      nightly,
      { start: "exec node report.js", listens: false }
    ],
    [
      "or start_command, and nothing beside it",
      both,
      { ...nightly, start_command: "node r.js" },
      { start: "exec node r.js", workers: undefined, listens: false }
    ],
    [
      "or the only process of a Procfile",
      { Procfile: "report: node r.js" },
      nightly,
      { start: "exec node r.js", workers: undefined, listens: false }
    ]
  ]
  for (const [what, files, settings, expected] of cases) {
    it.live(what, () =>
      Effect.gen(function* () {
        const plan = yield* (yield* makeBench()).plan(files, settings)
        const seen = Object.keys(expected).map((key) => [key, Reflect.get(plan, key)])
        assert.deepStrictEqual(Object.fromEntries(seen), expected)
      })
    )
  }
})

describe("what is refused", () => {
  const cases: ReadonlyArray<readonly [what: string, Files, Settings, code: string, RegExp]> = [
    [
      "a program as a site",
      server,
      { type: "webapp_static" },
      "type_mismatch",
      /Leave type out.*build_pack to static/u
    ],
    ["a site as a webapp", site, { type: "webapp" }, "type_mismatch", /start_command.*type/u],
    ["a site as a backend", site, { type: "backend" }, "type_mismatch", /start_command/u],
    ["a site as a worker", site, { type: "worker" }, "type_mismatch", /without a port/u],
    ["a site on a schedule", site, nightly, "type_mismatch", /schedule/u],
    ["several programs on a schedule", both, nightly, "no_start_command", /web, clock, worker/u],
    [
      "a web process on a schedule",
      { Procfile: "web: node web.js" },
      nightly,
      "no_start_command",
      /Set start_command/u
    ]
  ]
  for (const [what, files, settings, code, words] of cases) {
    it.live(what, () =>
      Effect.gen(function* () {
        const found = yield* failure((yield* makeBench()).plan(files, settings))
        assert.strictEqual(found.code, code)
        assert.match(`${found.cause} ${found.next}`, words)
      })
    )
  }
})
