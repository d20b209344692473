/** Codes that no sample of a deployment has, each with the test that meets it. */
import type { FailureCode } from "@deploy-mcp/domain/Failure"

export const elsewhere: Partial<Record<FailureCode, string>> = {
  invalid_argument: "packages/runtime/src/http/Api.test.ts",
  unknown_argument: "packages/runtime/src/http/Api.test.ts",
  request_too_large: "packages/runtime/src/http/Api.test.ts",
  unauthorized: "packages/runtime/src/http/Api.test.ts",
  forbidden: "packages/runtime/src/commands/Services.test.ts",
  not_found: "packages/runtime/src/http/Api.test.ts",
  unknown_project: "packages/runtime/src/commands/Services.test.ts",
  unknown_host: "packages/runtime/src/commands/Services.test.ts",
  hostname_taken: "packages/runtime/src/commands/Undo.test.ts",
  settings_changed: "packages/runtime/src/commands/Update.test.ts",
  too_late: "packages/runtime/src/commands/Undo.test.ts",
  cannot_roll_back: "packages/runtime/src/commands/Undo.test.ts",
  // Asked for by the tests of all commands that can be planned.
  planned: "packages/runtime/src/commands/testing/CommandWorld.ts",
  repository_in_use: "packages/runtime/src/commands/Groups.test.ts",
  variable_reserved: "packages/runtime/src/commands/Services.test.ts",
  idempotency_conflict: "packages/runtime/src/commands/Services.test.ts",
  limit_reached: "packages/runtime/src/commands/Services.test.ts",
  rate_limited: "packages/runtime/src/commands/Keys.test.ts",
  internal: "packages/runtime/src/http/Api.test.ts",
  kind_unsupported: "packages/runtime/src/commands/Kinds.test.ts",
  disk_full: "test/e2e/Disk.test.ts",
  quota_exceeded: "test/workflows/quota.test.ts",
  no_sandbox: "packages/runtime/src/commands/RequireSandbox.test.ts",
  superseded: "test/workflows/hints.test.ts",
  cancelled: "packages/runtime/src/commands/Undo.test.ts",
  paused: "packages/edge/src/process/Pause.test.ts"
}
