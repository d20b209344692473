import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as DeployConformance from "@deploy-mcp/domain/conformance/DeployConformance"
import { Effect } from "effect"
import { NodeWorld, provider } from "./DeployMemory.ts"

const folderWith = (name: string, text: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), "deploy-memory-"))
      writeFileSync(join(folder, name), text)
      return folder
    }),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )

const program = (file: string) =>
  Effect.map(folderWith(file, ""), (directory) => ({
    kind: "process" as const,
    directory,
    start: "run",
    path: [],
    variables: null,
    port: null,
    healthPath: null,
    memory: 64,
    cpu: 1,
    startTimeout: 1000
  }))

DeployConformance.suite("memory", provider, {
  world: NodeWorld.layer,
  get: ({ label }) =>
    NodeWorld.use(({ stages, running }) =>
      Effect.sync(() => {
        const stage = [...stages.values()].find(({ hostnames }) => hostnames.includes(label))
        const live = stage?.releases.find(({ release }) => release === stage.route)
        return live?.workload.kind === "static" && running.get(live.release) === "healthy"
          ? readFileSync(join(live.workload.root, "index.html"), "utf8")
          : null
      })
    ),
  site: (text) =>
    Effect.map(folderWith("index.html", text), (root) => ({ kind: "static" as const, root })),
  doomed: program("never-healthy"),
  portless: Effect.map(program("worker"), (workload) => ({ ...workload, listens: false }))
})
