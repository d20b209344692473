/**
 * The files of a commit, byte for byte: fetched alone, measured, then written by a git that reads
 * no attribute, filter or configuration of the repository.
 */
import { mkdir, rm } from "node:fs/promises"
import { join } from "node:path"
import type { RepositoryId } from "@deploy-mcp/domain/model/Ids"
import type { CommitSha } from "@deploy-mcp/domain/model/Names"
import { Effect } from "effect"
import { rejected, unavailable } from "../GitFault.ts"
import { checkSize } from "../SourceLimits.ts"
import { type GitClient, killed, type Settings, storage } from "./GitClient.ts"
import type { Location } from "./Identity.ts"
import * as Mirror from "./Mirror.ts"

export const checkout = (
  client: GitClient,
  settings: Settings,
  id: RepositoryId,
  location: Location,
  commit: CommitSha,
  directory: string
) =>
  Mirror.use(client, settings.maxCacheBytes, id, (mirror, scratch) =>
    Effect.gen(function* () {
      yield* fetch(client, location, commit, mirror)
      const objects = { GIT_OBJECT_DIRECTORY: join(mirror, "objects") }
      yield* measure(client, settings, objects, commit)
      yield* write(
        client,
        { ...objects, GIT_INDEX_FILE: join(scratch, "index") },
        commit,
        directory
      )
    })
  )

const fetch = Effect.fn("Checkout.fetch")(function* (
  client: GitClient,
  location: Location,
  commit: CommitSha,
  mirror: string
) {
  const known = yield* client.local(["cat-file", "-e", `${commit}^{commit}`], { GIT_DIR: mirror })
  if (known.code === 0) return
  yield* client.remote(
    location,
    [
      "fetch",
      "--quiet",
      "--depth=1",
      "--no-tags",
      "--no-recurse-submodules",
      "--no-write-fetch-head",
      "--",
      location.url,
      // A name for it, so that the next fetch can tell the host what is already here.
      `+${commit}:refs/fetched/${commit}`
    ],
    mirror
  )
})

const measure = Effect.fn("Checkout.measure")(function* (
  client: GitClient,
  limits: Settings,
  objects: Record<string, string>,
  commit: CommitSha
) {
  const list = yield* client.local(["ls-tree", "-r", "-l", "-z", `${commit}^{commit}`], objects)
  if (list.code === killed) {
    // A few small folders that hold each other many times over are millions of files.
    return yield* rejected(
      "source_too_large",
      `The commit has more than ${limits.maxSourceFiles} files.`
    )
  }
  if (list.code !== 0) return yield* unwritable(commit, list.stderr)
  yield* checkSize(list.stdout, limits)
})

const write = (
  client: GitClient,
  objects: Record<string, string>,
  commit: CommitSha,
  directory: string
) =>
  Effect.gen(function* () {
    yield* storage(async () => {
      await rm(directory, { recursive: true, force: true })
      await mkdir(directory, { recursive: true })
    })
    const { code, stderr } = yield* client.local(
      ["read-tree", "--reset", "-u", `${commit}^{commit}`],
      { ...objects, GIT_WORK_TREE: directory }
    )
    if (code !== 0) return yield* unwritable(commit, stderr)
  }).pipe(
    Effect.onError(() =>
      Effect.ignore(storage(() => rm(directory, { recursive: true, force: true })))
    )
  )

const unwritable = Effect.fn("Checkout.unwritable")(function* (commit: CommitSha, stderr: string) {
  yield* Effect.logWarning("git could not check out a commit", { commit, stderr })
  return yield* unavailable("The files of this commit cannot be written now.")
})
