/**
 * What ended too often and is not started any more, whoever is in control next. The engine keeps no
 * reason why it was told to stop a container, so there is a small file for each.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { ReleaseId } from "@deploy-mcp/domain/model/Ids"
import { ProcessFailure } from "@deploy-mcp/domain/node/NodeProtocol"
import { Effect, Option, Schema } from "effect"
import { DockerError } from "./DockerSocket.ts"

/** `worker`: its name; null: the process of the release that answers. */
export interface Paused {
  /** Null: it may run. */
  readonly find: (
    release: ReleaseId,
    worker: string | null
  ) => Effect.Effect<ProcessFailure | null, DockerError>
  readonly note: (
    release: ReleaseId,
    worker: string | null,
    failure: ProcessFailure
  ) => Effect.Effect<void, DockerError>
  /** The release has left, and its workers with it. */
  readonly forget: (release: ReleaseId) => Effect.Effect<void, DockerError>
}

/** `directory` is made when there is something to keep. */
export const make = (directory: string): Paused => {
  const nameOf = (release: ReleaseId, worker: string | null) =>
    worker === null ? `${release}.json` : `${release}.${worker}.json`
  return {
    find: (release, worker) =>
      Effect.map(
        // One that power failed in the middle of is none: better a start too many than none at all.
        attempt(() => readFile(join(directory, nameOf(release, worker)), "utf8").catch(() => "")),
        (text) => Option.getOrNull(decode(text))
      ),
    note: (release, worker, failure) =>
      attempt(async () => {
        const file = join(directory, nameOf(release, worker))
        await mkdir(directory, { recursive: true, mode: 0o700 })
        await writeFile(`${file}.new`, JSON.stringify(failure), { mode: 0o600 })
        await rename(`${file}.new`, file)
      }),
    forget: (release) =>
      attempt(async () => {
        const names = await readdir(directory).catch(() => [])
        for (const name of names) {
          if (name.startsWith(`${release}.`)) await rm(join(directory, name), { force: true })
        }
      })
  }
}

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(ProcessFailure))

const attempt = <A>(run: () => Promise<A>) =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new DockerError({ status: 0, detail: `${cause}` })
  })
