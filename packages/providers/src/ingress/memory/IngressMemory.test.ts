import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer, get } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as IngressConformance from "@deploy-mcp/domain/conformance/IngressConformance"
import { Effect } from "effect"
import { IngressWorld, provider, targetOf } from "./IngressMemory.ts"

IngressConformance.suite("memory", provider, {
  world: IngressWorld.layer,
  get: (label) =>
    IngressWorld.use((world) => {
      const to = targetOf(world, label)?.to
      if (to === undefined) return Effect.succeed(null)
      return to.kind === "static"
        ? Effect.sync(() => readFileSync(join(to.root, "index.html"), "utf8"))
        : Effect.promise(() => ask(to.host, to.port))
    }),
  endpoint: Effect.fnUntraced(function* (answer) {
    const server = createServer(async (_request, response) => {
      response.end(await Effect.runPromise(answer))
    }).listen(0, "127.0.0.1")
    yield* Effect.promise(() => once(server, "listening"))
    yield* Effect.addFinalizer(() => Effect.promise(() => close(server)))
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    return { kind: "endpoint" as const, host: "127.0.0.1", port }
  }),
  site: (text) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const root = mkdtempSync(join(tmpdir(), "ingress-memory-"))
        writeFileSync(join(root, "index.html"), text)
        return { kind: "static" as const, root }
      }),
      ({ root }) => Effect.sync(() => rmSync(root, { recursive: true, force: true }))
    )
})

/** The body; null when nobody answers. */
const ask = (host: string, port: number): Promise<string | null> => {
  const { promise, resolve } = Promise.withResolvers<string | null>()
  get({ host, port, agent: false }, (answer) => {
    let body = ""
    answer.setEncoding("utf8").on("data", (chunk: string) => {
      body += chunk
    })
    answer.once("end", () => resolve(body))
  }).once("error", () => resolve(null))
  return promise
}

const close = (server: ReturnType<typeof createServer>): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>()
  server.close(() => resolve())
  server.closeAllConnections()
  return promise
}
