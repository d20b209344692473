/** What a node is to run for a release: its artifact, its settings and its sealed variables. */
import type { Workload } from "@deploy-mcp/domain/node/NodeProtocol"
import type { ReleaseRow } from "./store/ReleaseStore.ts"

/** `variables` are sealed to the node's key; `startTimeout` is in milliseconds. */
export const workloadOf = (
  { artifact, settings }: Pick<ReleaseRow, "artifact" | "settings">,
  variables: string | null,
  startTimeout: number
): Workload => {
  const { directory, runtime } = artifact
  if (runtime.kind === "static") {
    const root = runtime.publish === "." ? directory : `${directory}/${runtime.publish}`
    return { kind: "static", root, ...(runtime.spa === undefined ? {} : { spa: runtime.spa }) }
  }
  const run = {
    variables,
    port: settings.port ?? null,
    healthPath: settings.health_path ?? null,
    ...(runtime.workers === undefined ? {} : { workers: runtime.workers }),
    memory: settings.memory,
    cpu: settings.cpu,
    startTimeout
  }
  return runtime.kind === "process"
    ? { kind: "process", directory, start: runtime.start, path: runtime.path, ...run }
    : { kind: "image", image: runtime.image, start: runtime.start ?? null, ...run }
}
