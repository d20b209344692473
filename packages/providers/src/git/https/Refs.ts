/** What another host says about a repository: that it exists, and where its branches stand. */
import { mkdtemp, rm } from "node:fs/promises"
import { join } from "node:path"
import { failureOf } from "@deploy-mcp/domain/Fault"
import type { GitError } from "@deploy-mcp/domain/Git"
import { BranchName, CommitSha } from "@deploy-mcp/domain/model/Names"
import { Effect, Schema } from "effect"
import { unavailable } from "../GitFault.ts"
import { type GitClient, storage } from "./GitClient.ts"
import type { Location } from "./Identity.ts"

export const exists = (client: GitClient, location: Location) =>
  Effect.asVoid(client.remote(location, ["ls-remote", "--heads", "--", location.url]))

export const head = (client: GitClient, location: Location, branch: BranchName) =>
  client
    .remote(location, ["ls-remote", "--heads", "--", location.url, `refs/heads/${branch}`])
    .pipe(
      // git matches the end of names, so that `a/refs/heads/main` may be among the answers.
      Effect.map(
        ({ stdout }) => parse(stdout, "\t").find((found) => found.branch === branch)?.commit ?? null
      ),
      orWhenMissing(null)
    )

/** The newest commit of each branch alone, without files where the host can leave them out. */
export const branches = (client: GitClient, location: Location) =>
  Effect.acquireUseRelease(
    storage(() => mkdtemp(join(client.temporary, "branches-"))),
    (scratch) =>
      Effect.gen(function* () {
        const found = yield* client.remote(location, ["ls-remote", "--heads", "--", location.url])
        if (parse(found.stdout, "\t").length === 0) return []
        yield* client.local(["init", "--quiet", "--bare", "--template="], { GIT_DIR: scratch })
        yield* client.remote(
          location,
          [
            "fetch",
            "--quiet",
            "--depth=1",
            "--filter=tree:0",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--",
            location.url,
            "+refs/heads/*:refs/heads/*"
          ],
          scratch
        )
        const { code, stdout } = yield* client.local(
          [
            "for-each-ref",
            "--sort=-committerdate",
            "--format=%(objectname) %(refname)",
            "refs/heads/"
          ],
          { GIT_DIR: scratch }
        )
        if (code !== 0) return yield* unavailable(`${location.title} cannot be read now.`)
        return parse(stdout, " ")
      }),
    (scratch) => Effect.ignore(storage(() => rm(scratch, { recursive: true, force: true })))
  ).pipe(orWhenMissing([]))

/** Branches whose names the platform can't write are left out. */
const parse = (text: string, separator: string) =>
  text.split("\n").flatMap((line) => {
    const [commit, ref = ""] = line.split(separator)
    const branch = ref.slice("refs/heads/".length)
    return isCommit(commit) && isBranch(branch) ? [{ branch, commit }] : []
  })

const isBranch = Schema.is(BranchName)
const isCommit = Schema.is(CommitSha)

const orWhenMissing =
  <B>(value: B) =>
  <A>(effect: Effect.Effect<A, GitError>): Effect.Effect<A | B, GitError> =>
    Effect.catchIf(
      effect,
      (error) => failureOf(error.reason).code === "repository_missing",
      () => Effect.succeed(value)
    )
