/** How deep the sandbox of services is on this machine, as the edge found it when it started. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Isolation, type SandboxLayer } from "@deploy-mcp/domain/node/NodeProtocol"
import { Effect, Option, Schema } from "effect"
import { type Finding, fail, ok, warn } from "./Machine.ts"

export interface Fences {
  readonly finding: Finding
  readonly layers: ReadonlyArray<SandboxLayer>
}

export const fences = Effect.fnUntraced(function* (folder: string, edgeRuns: boolean) {
  if (!edgeRuns) {
    return { finding: ok("sandbox", "tried when the platform starts; then shown here"), layers: [] }
  }
  const found = yield* Effect.sync(() => told(join(folder, "run", "isolation.json")))
  if (Option.isNone(found)) {
    const next = "Restart the platform: its edge is older than this program."
    return { finding: warn("sandbox", "the edge does not say", next), layers: [] }
  }
  const { layers = [], level, refused } = found.value.isolation
  if (refused !== undefined)
    return { finding: fail("sandbox", "no service is run", refused), layers }
  const weak = layers.filter(({ state }) => state !== "holds").map(({ layer }) => layer)
  if (level === "plain") {
    const detail = "none: only services of the platform's own owner are run"
    return {
      finding: warn(
        "sandbox",
        detail,
        "Install bubblewrap, leave DEPLOY_MCP_SANDBOX at auto, and start again."
      ),
      layers
    }
  }
  const finding =
    weak.length === 0
      ? ok("sandbox", `${level}, every layer holds`)
      : warn("sandbox", `${level}, weaker than it could be: ${weak.join(", ")}`, fullNext)
  return { finding, layers }
})

const fullNext =
  "Run as root with iproute2, nftables and a writable /sys/fs/cgroup for all layers; the table says what holds."

const told = (file: string) =>
  Option.liftThrowable(() => readFileSync(file, "utf8"))().pipe(Option.flatMap(decode))

const decode = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ pid: Schema.Int, isolation: Isolation }))
)

/** A table for people: one line for each layer. */
export const table = (layers: ReadonlyArray<SandboxLayer>): ReadonlyArray<string> => {
  const rows = layers.map(
    ({ detail, layer, proof, state }) => [layer, state, detail, proof] as const
  )
  const all = [["layer", "state", "what it is", "how that is known"] as const, ...rows]
  const width = (column: number) => Math.max(...all.map((row) => row[column]?.length ?? 0))
  const widths = [width(0), width(1), width(2)]
  return rows.length === 0
    ? []
    : all.map((row) =>
        row
          .map((word, column) => word.padEnd(widths[column] ?? 0))
          .join("  ")
          .trimEnd()
      )
}
