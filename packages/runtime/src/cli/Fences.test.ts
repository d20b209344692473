import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Isolation, SandboxLayer } from "@deploy-mcp/domain/node/NodeProtocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fences, table } from "./Fences.ts"

const layer = (name: string, state: SandboxLayer["state"]): SandboxLayer => ({
  layer: name,
  state,
  detail: `what ${name} is`,
  proof: "tried"
})
const isolation = (more: Partial<Isolation>): Isolation => ({
  level: "bubblewrap",
  network: true,
  limits: { memory: true, cpu: true, pids: true },
  notes: [],
  ...more
})

/** What doctor says of an edge that wrote this. */
const saying = (written: string | null, edgeRuns = true) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), "deploy-mcp-fences-"))
      mkdirSync(join(folder, "run"))
      if (written !== null) writeFileSync(join(folder, "run", "isolation.json"), written)
      return folder
    }),
    (folder) => fences(folder, edgeRuns),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
const edgeWith = (more: Partial<Isolation>) =>
  saying(JSON.stringify({ pid: 1, isolation: isolation(more) }))

describe("the sandbox, as doctor tells it", () => {
  it.effect("is well when every layer holds", () =>
    Effect.gen(function* () {
      const layers = [layer("namespaces", "holds"), layer("rights", "holds")]
      const told = yield* edgeWith({ layers })
      assert.strictEqual(told.finding.status, "ok")
      assert.deepStrictEqual(table(told.layers), [
        "layer       state  what it is          how that is known",
        "namespaces  holds  what namespaces is  tried",
        "rights      holds  what rights is      tried"
      ])
    })
  )

  it.effect("names the layers that do not hold, and what would help", () =>
    Effect.gen(function* () {
      const layers = [
        layer("rights", "holds"),
        layer("network", "missing"),
        layer("limits", "partly")
      ]
      const { finding } = yield* edgeWith({ layers })
      assert.strictEqual(finding.status, "warn")
      assert.include(finding.detail, "network, limits")
      assert.notStrictEqual(finding.next, "")
    })
  )

  it.effect("is said to be none without bubblewrap, and whose services run then", () =>
    Effect.gen(function* () {
      const { finding } = yield* edgeWith({ level: "plain", layers: [layer("sandbox", "missing")] })
      assert.strictEqual(finding.status, "warn")
      assert.include(finding.detail, "only services of the platform's own owner")
    })
  )

  it.effect("has failed where what was asked for does not work, and says what to do", () =>
    Effect.gen(function* () {
      const refused = "DEPLOY_MCP_SANDBOX is gvisor, but … Install it, or set it to auto."
      const { finding } = yield* edgeWith({ level: "plain", refused, layers: [] })
      assert.deepInclude(finding, { status: "fail", detail: "no service is run", next: refused })
    })
  )

  it.effect("is not told of an edge that is not there, or says nothing", () =>
    Effect.gen(function* () {
      const file = JSON.stringify({
        pid: 1,
        isolation: isolation({ layers: [layer("x", "holds")] })
      })
      assert.deepStrictEqual((yield* saying(file, false)).layers, [])
      for (const written of [null, "{", "{}"]) {
        const { finding, layers } = yield* saying(written)
        assert.deepStrictEqual([finding.status, layers], ["warn", []])
      }
    })
  )
})
