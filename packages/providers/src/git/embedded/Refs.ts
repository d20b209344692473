/** Where branches stand, read from files where that is enough. */
import { join } from "node:path"
import { BranchName, CommitSha } from "@deploy-mcp/domain/model/Names"
import { Effect, Schema } from "effect"
import { unavailable } from "../GitFault.ts"
import { type GitHost, readText } from "./GitHost.ts"

/** A loose ref wins over a packed one, and is looked for first: git packs before it deletes. */
export const head = Effect.fn("Refs.head")(function* (repository: string, branch: BranchName) {
  const loose = yield* readText(join(repository, "refs", "heads", branch))
  if (loose !== null) return yield* commit(loose.trim())
  const packed = yield* readText(join(repository, "packed-refs"))
  const line = packed?.split("\n").find((line) => line.slice(41) === `refs/heads/${branch}`)
  return line === undefined ? null : yield* commit(line.slice(0, 40))
})

export const branches = Effect.fn("Refs.branches")(function* (host: GitHost, repository: string) {
  if ((yield* readText(join(repository, "HEAD"))) === null) return []
  const { code, stdout } = yield* host.git(
    ["for-each-ref", "--sort=-committerdate", "--format=%(objectname) %(refname)", "refs/heads/"],
    { GIT_DIR: repository }
  )
  if (code !== 0) return yield* unavailable("The branches of this repository cannot be read now.")
  return stdout.split("\n").flatMap((line) => {
    const commit = line.slice(0, 40)
    const branch = line.slice(41 + "refs/heads/".length)
    return isCommit(commit) && isBranch(branch) ? [{ branch, commit }] : []
  })
})

const isBranch = Schema.is(BranchName)
const isCommit = Schema.is(CommitSha)

const commit = (text: string) =>
  isCommit(text)
    ? Effect.succeed(text)
    : Effect.fail(unavailable("A branch of this repository cannot be read now."))
