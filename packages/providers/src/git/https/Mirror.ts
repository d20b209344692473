/**
 * What was fetched of a repository, kept for the next fetch. Who uses a mirror takes it out of its
 * place by a rename and brings it back when all went well: a crash, a failure or an interruption
 * costs the mirror and leaves nothing half fetched, and nobody waits for a lock.
 */
import { mkdtemp, readdir, rename, rm, stat, utimes } from "node:fs/promises"
import { join } from "node:path"
import type { GitError } from "@deploy-mcp/domain/Git"
import type { RepositoryId } from "@deploy-mcp/domain/model/Ids"
import { Clock, Effect, Exit } from "effect"
import { unavailable } from "../GitFault.ts"
import { type GitClient, storage } from "./GitClient.ts"

/** `scratch` is a folder for other files of this use. */
export const use = <A>(
  client: GitClient,
  maxCacheBytes: number,
  id: RepositoryId,
  work: (mirror: string, scratch: string) => Effect.Effect<A, GitError>
) =>
  Effect.acquireUseRelease(
    storage(() => mkdtemp(join(client.temporary, "mirror-"))),
    (scratch) => {
      const mirror = join(scratch, "mirror.git")
      return Effect.andThen(take(client, id, mirror), work(mirror, scratch))
    },
    (scratch, exit) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        yield* storage(async () => {
          if (Exit.isSuccess(exit)) {
            await utimes(join(scratch, "mirror.git"), now / 1000, now / 1000)
            // Another use of the same repository may have brought its own.
            await rename(join(scratch, "mirror.git"), placeOf(client, id)).catch(() => undefined)
          }
          await rm(scratch, { recursive: true, force: true })
          await evict(client, maxCacheBytes)
        })
      }).pipe(Effect.ignore)
  )

export const remove = (client: GitClient, id: RepositoryId) =>
  storage(() => discard(client, `${id}.git`))

const placeOf = (client: GitClient, id: RepositoryId) => join(client.mirrors, `${id}.git`)

const take = Effect.fn("Mirror.take")(function* (
  client: GitClient,
  id: RepositoryId,
  mirror: string
) {
  const taken = yield* storage(() => moved(placeOf(client, id), mirror))
  if (taken) return
  const { code } = yield* client.local(["init", "--quiet", "--bare", "--template="], {
    GIT_DIR: mirror
  })
  if (code !== 0) return yield* unavailable("A repository cannot be fetched now.")
})

/** Whether there was something to move. */
const moved = (from: string, to: string) =>
  rename(from, to).then(
    () => true,
    (cause: unknown) => {
      if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return false
      throw cause
    }
  )

/** Those that were not used for longest go first, until the rest is small enough. */
const evict = async (client: GitClient, maxCacheBytes: number) => {
  const kept = await Promise.all(
    (await readdir(client.mirrors)).map(async (name) => ({
      name,
      usedAt: (await stat(join(client.mirrors, name)).catch(() => null))?.mtimeMs ?? 0,
      bytes: await sizeOf(join(client.mirrors, name))
    }))
  )
  let bytes = kept.reduce((sum, mirror) => sum + mirror.bytes, 0)
  for (const mirror of kept.sort((one, other) => one.usedAt - other.usedAt)) {
    if (bytes <= maxCacheBytes) return
    await discard(client, mirror.name)
    bytes -= mirror.bytes
  }
}

const sizeOf = async (folder: string): Promise<number> => {
  const names = await readdir(folder, { recursive: true }).catch(() => [])
  const found = names.map((name) => stat(join(folder, name)).catch(() => null))
  return (await Promise.all(found)).reduce((sum, file) => sum + (file?.size ?? 0), 0)
}

const discard = async (client: GitClient, name: string) => {
  const grave = await mkdtemp(join(client.temporary, "removed-"))
  await moved(join(client.mirrors, name), join(grave, "mirror.git"))
  await rm(grave, { recursive: true, force: true })
}
