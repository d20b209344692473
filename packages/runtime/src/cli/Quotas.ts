/** Which owners are nearest to their quotas, as the running platform counts in its `/metrics`. */
import { Effect } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { mebibytes } from "../Mebibytes.ts"
import { type Finding, ok, warn } from "./Machine.ts"

/** One finding for each quota, or one that says why there is none. */
export const quotas = Effect.fnUntraced(function* (port: number, controlRuns: boolean) {
  if (!controlRuns) return [ok("quotas", "counted while the platform runs; then shown here")]
  const http = yield* HttpClient.HttpClient
  const told = yield* http.get(`http://127.0.0.1:${port}/metrics`).pipe(
    Effect.flatMap(HttpClientResponse.filterStatusOk),
    Effect.flatMap(({ text }) => text),
    Effect.timeout("10 seconds"),
    Effect.orElseSucceed(() => null)
  )
  return told === null
    ? [
        warn(
          "quotas",
          "the platform does not say",
          "Set DEPLOY_MCP_PORT to the port of the running platform, or look at what it prints."
        )
      ]
    : kinds.map((kind) => shares(kind, told))
})

interface Kind {
  /** As its metrics begin. */
  readonly metric: string
  readonly plural: string
  readonly setting: string
  readonly refused: string
}

const kinds: ReadonlyArray<Kind> = [
  {
    metric: "artifact",
    plural: "artifacts",
    setting: "DEPLOY_MCP_ARTIFACT_QUOTA",
    refused: "Beyond it builds of that owner are refused: services that are not needed can go"
  },
  {
    metric: "repository",
    plural: "repositories",
    setting: "DEPLOY_MCP_REPOSITORY_QUOTA",
    refused: "Beyond it pushes of that owner are refused: repositories that are not needed can go"
  }
]

const shown = 3
const near = 0.9

const shares = ({ metric, plural, refused, setting }: Kind, told: string): Finding => {
  const quota = Number(
    new RegExp(`^deploy_mcp_${metric}_quota_bytes (\\d+)$`, "mu").exec(told)?.[1] ?? 0
  )
  const owners = [
    ...told.matchAll(new RegExp(`^deploy_mcp_${metric}_bytes\\{owner="([^"]+)"\\} (\\d+)$`, "gmu"))
  ]
    .map(([, owner = "", bytes]) => ({ owner, bytes: Number(bytes) }))
    .sort((a, b) => b.bytes - a.bytes)
  const most = owners
    .slice(0, shown)
    .map(({ bytes, owner }) =>
      quota === 0
        ? `${owner} ${mebibytes(bytes)} MiB`
        : `${owner} ${mebibytes(bytes)} MiB (${Math.floor((100 * bytes) / quota)} %)`
    )
  const more = owners.length > shown ? `, ${owners.length - shown} more with less` : ""
  const limit = quota === 0 ? "without a quota" : `of ${mebibytes(quota)} MiB an owner`
  const detail = `${plural} ${limit}: ${most.length === 0 ? "nobody has any" : most.join(", ")}${more}`
  return quota > 0 && (owners[0]?.bytes ?? 0) >= near * quota
    ? warn("quotas", detail, `${refused}, or set ${setting} higher and start again.`)
    : ok("quotas", detail)
}
