/** Repositories come and go in one rename each, so that a crash never leaves half of one. */
import { access, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { Clock, Effect } from "effect"
import { unavailable } from "../GitFault.ts"
import { type GitHost, isAbsent, readText, storage } from "./GitHost.ts"

export const ensure = Effect.fn("Repositories.ensure")(function* (host: GitHost, path: string) {
  if ((yield* readText(join(path, "HEAD"))) !== null) return
  const made = yield* storage(() => mkdtemp(join(host.temporary, "init-")))
  const { code } = yield* host.git([
    "init",
    "--quiet",
    "--bare",
    "--template=",
    "--initial-branch=main",
    made
  ])
  if (code !== 0) return yield* unavailable("The repository cannot be made now.")
  yield* storage(async () => {
    await rename(made, path).catch(async (cause: unknown) => {
      await rm(made, { recursive: true, force: true })
      // Another call may have been first.
      await access(join(path, "HEAD")).catch(() => Promise.reject(cause))
    })
  })
})

export const remove = Effect.fn("Repositories.remove")(function* (host: GitHost, path: string) {
  // Also one that is damaged: it may have no HEAD.
  const isThere = yield* storage(() => stat(path).then(Boolean, () => false))
  if (!isThere) return
  const grave = yield* storage(() => mkdtemp(join(host.temporary, "removed-")))
  yield* storage(() =>
    rename(path, join(grave, "repository")).catch((cause: unknown) => {
      // Somebody else has just removed it.
      if (!isAbsent(cause)) throw cause
    })
  )
  yield* storage(() => rm(grave, { recursive: true, force: true }))
})

const minute = 60_000
/** git holds the lock of a ref for milliseconds; one that stays blocks its branch for ever. */
const staleLock = minute / 2
const stalePush = 60 * minute

/**
 * Takes away what git left when it was killed or the disk was full: half-written objects, reports of crashes,
 * and locks that nobody holds.
 */
export const sweep = Effect.fn("Repositories.sweep")(function* (host: GitHost) {
  const now = yield* Clock.currentTimeMillis
  yield* storage(async () => {
    for (const name of await readdir(host.directory)) {
      if (!name.endsWith(".git")) continue
      const repository = join(host.directory, name)
      const top = await entries(repository, false)
      const objects = [
        ...(await entries(join(repository, "objects"), false)),
        ...(await entries(join(repository, "objects", "pack"), false))
      ]
      const refs = await entries(join(repository, "refs"), true)
      await removeOlder(now - stalePush, [...top, ...objects].filter(isHalf))
      await removeOlder(now - staleLock, [...top, ...refs].filter(isLock))
    }
  })
})

const isHalf = (path: string) =>
  /\/(?:tmp_objdir-incoming-|tmp_pack_|tmp_idx_|tmp_rev_|\.tmp-\d+-pack-|fast_import_crash_)[^/]+$/.test(
    path
  )
const isLock = (path: string) => path.endsWith(".lock")

/** A repository may be removed while we look. */
const entries = async (folder: string, recursive: boolean) =>
  (await readdir(folder, { recursive }).catch(() => [])).map((name) => join(folder, name))

const removeOlder = async (than: number, paths: ReadonlyArray<string>) => {
  for (const path of paths) {
    const found = await stat(path).catch(() => null)
    if (found !== null && found.mtimeMs < than) await rm(path, { recursive: true, force: true })
  }
}
