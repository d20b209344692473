/** The ways in which providers of git fail. None ever names a path of the host. */
import { Failure } from "@deploy-mcp/domain/Failure"
import { Rejected, Unavailable, Unsupported } from "@deploy-mcp/domain/Fault"
import { GitError } from "@deploy-mcp/domain/Git"

export const rejected = (...args: Parameters<typeof Failure.of>): GitError =>
  new GitError({ reason: new Rejected({ failure: Failure.of(...args) }) })

export const unavailable = (detail: string): GitError =>
  new GitError({ reason: new Unavailable({ detail }) })

export const unsupported = (feature: string): GitError =>
  new GitError({ reason: new Unsupported({ feature }) })
