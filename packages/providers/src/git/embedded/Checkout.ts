/**
 * The files of a commit, byte for byte as they were pushed. git runs against a repository of our
 * own that borrows the pushed one's objects, so no configuration, attribute or filter of the
 * pushed one is read: no line endings, keywords or encodings change on the way.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises"
import { join } from "node:path"
import type { CommitSha } from "@deploy-mcp/domain/model/Names"
import { Effect } from "effect"
import { rejected, unavailable } from "../GitFault.ts"
import { checkSize, type SourceLimits } from "../SourceLimits.ts"
import { type GitHost, readText, storage } from "./GitHost.ts"

export const checkout = Effect.fn("Checkout.checkout")(function* (
  host: GitHost,
  limits: SourceLimits,
  repository: string,
  commit: CommitSha,
  directory: string
) {
  if ((yield* readText(join(repository, "HEAD"))) === null) {
    return yield* rejected("repository_missing", "This repository does not exist.")
  }
  yield* storage(async () => {
    await rm(directory, { recursive: true, force: true })
    await mkdir(directory, { recursive: true })
  })
  const objects = { GIT_DIR: host.plain, GIT_OBJECT_DIRECTORY: join(repository, "objects") }
  // Side by side: measuring costs no time, and too large a source stops while it is written.
  yield* Effect.all(
    [measure(host, limits, objects, commit), writeFiles(host, objects, commit, directory)],
    { concurrency: 2, discard: true }
  ).pipe(
    Effect.tapError(() =>
      Effect.ignore(storage(() => rm(directory, { recursive: true, force: true })))
    )
  )
})

const measure = Effect.fn("Checkout.measure")(function* (
  host: GitHost,
  limits: SourceLimits,
  objects: Record<string, string>,
  commit: CommitSha
) {
  const list = yield* host.git(["ls-tree", "-r", "-l", "-z", `${commit}^{commit}`], objects)
  if (list.code !== 0) return yield* whyNot(host, objects, commit, list.stderr)
  yield* checkSize(list.stdout, limits)
})

const writeFiles = (
  host: GitHost,
  objects: Record<string, string>,
  commit: CommitSha,
  directory: string
) =>
  Effect.acquireUseRelease(
    storage(() => mkdtemp(join(host.temporary, "checkout-"))),
    (scratch) =>
      host
        .git(["read-tree", "--reset", "-u", `${commit}^{commit}`], {
          ...objects,
          GIT_WORK_TREE: directory,
          GIT_INDEX_FILE: join(scratch, "index")
        })
        .pipe(
          Effect.flatMap(({ code, stderr }) =>
            code === 0 ? Effect.void : whyNot(host, objects, commit, stderr)
          )
        ),
    (scratch) => Effect.ignore(storage(() => rm(scratch, { recursive: true, force: true })))
  )

const whyNot = Effect.fn("Checkout.whyNot")(function* (
  host: GitHost,
  objects: Record<string, string>,
  commit: CommitSha,
  stderr: string
) {
  const { code } = yield* host.git(["cat-file", "-e", `${commit}^{commit}`], objects)
  if (code !== 0) {
    return yield* rejected("branch_missing", `Commit ${commit} is not in this repository.`)
  }
  yield* Effect.logWarning("git could not check out a commit", { commit, stderr })
  return yield* unavailable("The files of this commit cannot be written now.")
})
