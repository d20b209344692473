/** A bearer key becomes the principal, for each request anew. Who remembers verified keys is not our business. */
import { Accounts } from "@deploy-mcp/domain/commands/Accounts"
import { type CommandError, refuse } from "@deploy-mcp/domain/Failure"
import type { PrincipalData } from "@deploy-mcp/domain/model/Principal"
import { Effect, Redacted } from "effect"

/** `header` is the value of Authorization. Fails with `unauthorized`. */
export const authenticate = (
  header: string | null | undefined
): Effect.Effect<PrincipalData, CommandError, Accounts> => {
  if (!header) {
    return Effect.fail(refuse("unauthorized", "The request carries no key."))
  }
  const key = /^bearer ([\x21-\x7e]{1,512})$/iu.exec(header.trim())?.[1]
  return key === undefined
    ? Effect.fail(
        refuse("unauthorized", "The Authorization header is not of the form 'Bearer dk_live_…'.")
      )
    : Accounts.use((accounts) => accounts.authenticate(Redacted.make(key)))
}

/** RFC 6750: no error code when no credentials were sent. */
export const challenge = (header: string | null | undefined): string =>
  header
    ? 'Bearer realm="deploy-mcp", error="invalid_token", error_description="The key is malformed, unknown, expired or revoked"'
    : 'Bearer realm="deploy-mcp"'
