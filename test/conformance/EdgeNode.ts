/** A real edge with its sandbox on a home of its own, and what a visitor of it is answered. */
import { once } from "node:events"
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { createServer, get } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Host } from "@deploy-mcp/domain/Provider"
import { startEdge } from "@deploy-mcp/edge/Edge"
import { makeProcesses } from "@deploy-mcp/edge/process/MakeProcesses"
import { Context, Effect, Layer } from "effect"

/** It outlives the controls. */
export class EdgeNode extends Context.Service<
  EdgeNode,
  { readonly home: string; readonly appsPort: number }
>()("test/EdgeNode") {
  /** `holdMs`: how long a visitor waits for what does not answer. */
  static readonly layer = (holdMs = 10_000) =>
    Layer.effect(
      EdgeNode,
      Effect.gen(function* () {
        const home = yield* folder
        const appsPort = yield* Effect.promise(freePort)
        yield* edgeOn({ home, appsPort, holdMs })
        return { home, appsPort }
      })
    )
}

/** Runs until the scope ends. */
export const edgeOn = (node: {
  readonly home: string
  readonly appsPort: number
  readonly holdMs: number
}) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      startEdge({ ...node, appsDomain: "localhost", makeProcesses, log: () => {} })
    ),
    (edge) => Effect.promise(edge.close)
  )

export const folder = Effect.acquireRelease(
  // Services see their folder from the inside, where a symbolic link of the machine may lead nowhere.
  Effect.sync(() => realpathSync(mkdtempSync(join(tmpdir(), "conformance-")))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** A folder whose page is this text. */
export const site = (text: string) =>
  Effect.map(folder, (root) => {
    writeFileSync(join(root, "index.html"), text)
    return { kind: "static" as const, root }
  })

export const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  return typeof address === "object" && address !== null ? address.port : 0
}

/** The body of a 200 at `<label>.localhost`; null for a hostname that leads nowhere. */
export const visit = (label: string) =>
  EdgeNode.use(({ appsPort: port }) =>
    Effect.callback<string | null, Error>((resume) => {
      const headers = { host: `${label}.localhost` }
      get({ host: "127.0.0.1", port, headers, agent: false }, (answer) => {
        let body = ""
        answer.setEncoding("utf8").on("data", (chunk: string) => {
          body += chunk
        })
        answer.on("end", () => resume(Effect.succeed(answer.statusCode === 200 ? body : null)))
      }).on("error", (cause) => resume(Effect.fail(cause)))
    })
  )

/** Nothing of the host is used by a provider that only speaks to the edge. */
export const noHost = Layer.succeed(Host, {
  directory: "",
  artifacts: "",
  node: { bin: "", version: "" }
})
