/** `/livez`: the process answers. `/readyz`: its edge is connected and listens. `/metrics`: Prometheus text. */
import { Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { repositoryQuota } from "../commands/RepositoryQuota.ts"
import { diskOf } from "../DiskOf.ts"
import type { Deploys } from "../Instances.ts"
import { edgeInstance } from "../instances/Builtin.ts"
import { measured } from "../Measured.ts"
import { Platform } from "../Platform.ts"
import { Publisher } from "../Publisher.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import { EveryOwner } from "../store/Owned.ts"
import type { ServiceStore } from "../store/ServiceStore.ts"
import { UsageStore } from "../store/UsageStore.ts"
import { deploymentMetrics, diskMetrics, edgeMetrics } from "./EdgeMetrics.ts"

export const layer = HttpRouter.use((router) =>
  Effect.gen(function* () {
    const publisher = yield* Publisher
    const { artifactQuota, home, minFreeDisk } = yield* Platform
    const repositories = yield* repositoryQuota
    const everyone = yield* EveryOwner
    const deployments = yield* DeploymentStore
    const usage = yield* UsageStore
    const context = yield* Effect.context<Deploys | ServiceStore>()
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
      Effect.gen(function* () {
        const own = yield* PrometheusMetrics.format()
        const rows = deploymentMetrics(yield* deployments.open(everyone))
        const disk = diskMetrics({
          ...(yield* diskOf(home)),
          minFree: minFreeDisk,
          database: yield* usage.database,
          artifacts: yield* usage.artifactsByOwner(everyone),
          artifactQuota,
          // A host that can't say keeps nobody from the rest.
          repositories: yield* Effect.orElseSucceed(repositories.usedByOwner(everyone), () => []),
          repositoryQuota: repositories.quota
        })
        const text =
          own + rows + disk + edgeMetrics(yield* Effect.provideContext(measured(everyone), context))
        return HttpServerResponse.text(text, { contentType: "text/plain; version=0.0.4" })
      })
    )
  })
)
