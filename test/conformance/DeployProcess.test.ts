/** The process provider is a Deploy: the kit, through a real edge and its sandbox. */
import { once } from "node:events"
import { chmodSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { createServer, get } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as DeployConformance from "@deploy-mcp/domain/conformance/DeployConformance"
import { Host } from "@deploy-mcp/domain/Provider"
import { startEdge } from "@deploy-mcp/edge/Edge"
import { makeProcesses } from "@deploy-mcp/edge/process/MakeProcesses"
import { DeployProcess } from "@deploy-mcp/providers/deploy/process/DeployProcess"
import { Context, Effect, Layer } from "effect"

/** An edge on a home of its own; it outlives the controls. */
class Node extends Context.Service<Node, { readonly home: string; readonly appsPort: number }>()(
  "test/Node"
) {
  static readonly layer = Layer.effect(
    Node,
    Effect.gen(function* () {
      const home = yield* folder
      const appsPort = yield* Effect.promise(freePort)
      yield* Effect.acquireRelease(
        Effect.promise(() =>
          startEdge({ home, appsPort, appsDomain: "localhost", makeProcesses, log: () => {} })
        ),
        (edge) => Effect.promise(edge.close)
      )
      return { home, appsPort }
    })
  )
}

const folder = Effect.acquireRelease(
  // Services see their folder from the inside, where a symbolic link of the machine may lead nowhere.
  Effect.sync(() => realpathSync(mkdtempSync(join(tmpdir(), "conformance-")))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  return typeof address === "object" && address !== null ? address.port : 0
}

const provider = Layer.unwrap(
  Node.use(({ home, appsPort }) =>
    Effect.succeed(DeployProcess.make({ socket: join(home, "run/edge.sock"), appsPort }))
  )
).pipe(
  Layer.provide(
    Layer.succeed(Host, { directory: "", artifacts: "", node: { bin: "", version: "" } })
  )
)

/** The body of a 200; null for a hostname that leads nowhere. */
const visit = (port: number, host: string) =>
  Effect.callback<string | null, Error>((resume) => {
    get({ host: "127.0.0.1", port, headers: { host }, agent: false }, (answer) => {
      let body = ""
      answer.setEncoding("utf8").on("data", (chunk: string) => {
        body += chunk
      })
      answer.on("end", () => resume(Effect.succeed(answer.statusCode === 200 ? body : null)))
    }).on("error", (cause) => resume(Effect.fail(cause)))
  })

DeployConformance.suite("process", provider, {
  world: Node.layer,
  get: ({ label }) => Node.use(({ appsPort }) => visit(appsPort, `${label}.localhost`)),
  site: (text) =>
    Effect.map(folder, (root) => {
      writeFileSync(join(root, "index.html"), text)
      return { kind: "static" as const, root }
    }),
  doomed: Effect.map(folder, (directory) => {
    // The service's own user reads it.
    chmodSync(directory, 0o755)
    return {
      kind: "process" as const,
      directory,
      start: "echo this is the end; exit 7",
      path: [],
      variables: null,
      port: null,
      healthPath: null,
      memory: 64,
      cpu: 1,
      startTimeout: 10_000
    }
  })
})
