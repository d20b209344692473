/** `/livez`: the process answers. `/readyz`: its edge is connected and listens. `/metrics`: Prometheus text. */
import { Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { edgeInstance } from "../instances/Builtin.ts"
import { Publisher } from "../Publisher.ts"

export const layer = HttpRouter.use((router) =>
  Effect.gen(function* () {
    const publisher = yield* Publisher
    yield* router.add("GET", "/livez", HttpServerResponse.text("ok\n"))
    yield* router.add(
      "GET",
      "/readyz",
      Effect.map(publisher.node(edgeInstance), (node) =>
        node === null || node.problem !== null
          ? HttpServerResponse.text(`${node?.problem ?? "the edge is not connected yet"}\n`, {
              status: 503
            })
          : HttpServerResponse.text("ok\n")
      )
    )
    yield* router.add(
      "GET",
      "/metrics",
      Effect.map(PrometheusMetrics.format(), (text) =>
        HttpServerResponse.text(text, { contentType: "text/plain; version=0.0.4" })
      )
    )
  })
)
