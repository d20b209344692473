/** A failure as a plain HTTP answer: the same entry of the catalogue under `error`, and a fitting status. */
import type { Failure, FailureCode } from "@deploy-mcp/domain/Failure"
import { challenge } from "./Auth.ts"

/** `authorization` is the header that was sent, for the challenge. */
export const refusal = (failure: Failure, authorization: string | null | undefined): Response =>
  Response.json(
    { error: failure },
    { status: statusOf(failure.code), headers: refusalHeaders(failure, authorization) }
  )

export const refusalHeaders = (
  { code, retry_after }: Failure,
  authorization: string | null | undefined
): Record<string, string> => ({
  ...(code === "unauthorized" ? { "www-authenticate": challenge(authorization) } : {}),
  ...(retry_after === undefined ? {} : { "retry-after": String(retry_after) })
})

/** What is not listed is the caller's to correct: 400. */
export const statusOf = (code: FailureCode): number => statuses[code] ?? 400

const statuses: { readonly [Code in FailureCode]?: number } = {
  unauthorized: 401,
  forbidden: 403,
  limit_reached: 403,
  not_found: 404,
  unknown_project: 404,
  unknown_host: 404,
  repository_missing: 404,
  branch_missing: 404,
  name_taken: 409,
  hostname_taken: 409,
  settings_changed: 409,
  too_late: 409,
  cannot_roll_back: 409,
  repository_in_use: 409,
  idempotency_conflict: 409,
  nothing_to_deploy: 409,
  request_too_large: 413,
  rate_limited: 429,
  internal: 500,
  unavailable: 503,
  disk_full: 503
}
