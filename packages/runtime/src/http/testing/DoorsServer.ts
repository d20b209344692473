/** Both doors on a loopback port of their own, over the doubles of the commands. */
import { createServer } from "node:http"
import type { McpOptions } from "@deploy-mcp/mcp/Server"
import * as Double from "@deploy-mcp/mcp/testing/CommandsDouble"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer, Logger, ManagedRuntime } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import * as Api from "../Api.ts"
import * as McpDoor from "../McpDoor.ts"

export interface Doors {
  /** Without a slash at its end. */
  readonly url: string
  readonly seen: Double.Seen
  readonly close: () => Promise<void>
}

export const startDoors = async (mcp: Partial<McpOptions> = {}): Promise<Doors> => {
  const seen = Double.nothingSeen()
  const routes = Layer.mergeAll(
    Api.layer(),
    McpDoor.layer({ version: "0.0.0-test", allowedHosts: ["deploy.example"], ...mcp })
  ).pipe(Layer.provide(Double.layer(seen)))
  const runtime = ManagedRuntime.make(
    HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(
        NodeHttpServer.layer(() => createServer(), { port: 0, host: "127.0.0.1" })
      ),
      // Bugs are made on purpose here.
      Layer.provideMerge(Logger.layer([]))
    )
  )
  const address = await runtime.runPromise(
    Effect.map(HttpServer.HttpServer, (server) => server.address)
  )
  if (!("port" in address)) throw new Error("the server has no port")
  return {
    url: `http://127.0.0.1:${address.port}`,
    seen,
    close: () => runtime.dispose()
  }
}

/** Polls until `condition` holds; fails after fifteen seconds. */
export const eventually = async (what: string, condition: () => boolean): Promise<void> => {
  const deadline = performance.now() + 15_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`never happened: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
