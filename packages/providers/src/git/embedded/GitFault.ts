/** The two ways in which this provider fails. Neither ever names a path of the host. */
import { Failure } from "@deploy-mcp/domain/Failure"
import { Rejected, Unavailable } from "@deploy-mcp/domain/Fault"
import { GitError } from "@deploy-mcp/domain/Git"

export const rejected = (...args: Parameters<typeof Failure.of>): GitError =>
  new GitError({ reason: new Rejected({ failure: Failure.of(...args) }) })

export const unavailable = (detail: string): GitError =>
  new GitError({ reason: new Unavailable({ detail }) })
