/** The world of this provider's tests: the real provider on a folder, and git run by hand. */
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { failureOf } from "@deploy-mcp/domain/Fault"
import { Git, type GitError, type GitExchange } from "@deploy-mcp/domain/Git"
import { RepositoryId } from "@deploy-mcp/domain/model/Ids"
import { BranchName, CommitSha } from "@deploy-mcp/domain/model/Names"
import type { Repository } from "@deploy-mcp/domain/model/Service"
import * as Provider from "@deploy-mcp/domain/Provider"
import { ConfigProvider, Effect, Layer, Stream } from "effect"
import { GitEmbedded } from "./GitEmbedded.ts"

export const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "git-embedded-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

export const provider = (settings: Record<string, unknown>) =>
  Layer.unwrap(Effect.map(folder, (directory) => providerAt(directory, settings)))

export const providerAt = (directory: string, settings: Record<string, unknown>) =>
  Layer.unwrap(Effect.map(GitEmbedded.config, GitEmbedded.make)).pipe(
    Layer.orDie,
    Layer.provide(
      ConfigProvider.layer(ConfigProvider.fromUnknown({ path: process.env.PATH, ...settings }))
    ),
    Layer.provideMerge(
      Layer.succeed(Provider.Host, {
        directory,
        artifacts: directory,
        node: { bin: "", version: "" }
      })
    )
  )

export const main = BranchName.make("main")

let count = 0
export const nextRepository = (): Repository => {
  count += 1
  const id = RepositoryId.make(`rep_${String(count).padStart(20, "0")}`)
  return { id, host: "internal", owner: "awake-dassie", name: `repo-${count}` }
}

export const repository = Effect.gen(function* () {
  const repository = nextRepository()
  yield* Git.use((git) => git.ensureRepository(repository))
  return repository
})

export const bare = ({ id }: Repository) =>
  Effect.map(Provider.Host, ({ directory }) => join(directory, `${id}.git`))

export const checkout = (repository: Repository, sha: CommitSha, into: string) =>
  Git.use((git) => git.checkout(repository, sha, into))

export const codeOf = <A, R>(effect: Effect.Effect<A, GitError, R>) =>
  Effect.map(Effect.flip(effect), (error) => failureOf(error.reason).code)

/** A work tree with these files in it, not yet committed. */
export const files = (contents: Record<string, string>) =>
  Effect.gen(function* () {
    const work = yield* folder
    yield* Effect.promise(async () => {
      for (const [name, content] of Object.entries(contents)) {
        await mkdir(join(work, name, ".."), { recursive: true })
        await writeFile(join(work, name), content)
      }
    })
    yield* run(work, ["init", "-q"])
    return work
  })

export const commit = (
  repository: Repository,
  work: string,
  branch: string,
  date = "2020-01-01T00:00:00Z"
) =>
  Effect.gen(function* () {
    yield* run(work, ["add", "--all"])
    yield* run(work, ["commit", "-qm", "test", "--allow-empty"], { date })
    yield* run(work, ["push", "-q", yield* bare(repository), `HEAD:refs/heads/${branch}`])
    return CommitSha.make(yield* run(work, ["rev-parse", "HEAD"]))
  })

/** A tree written past git's own checks. */
export const tree = (
  cwd: string,
  entries: ReadonlyArray<readonly [mode: string, name: string, sha: string]>
) =>
  run(cwd, ["hash-object", "-t", "tree", "-w", "--literally", "--stdin"], {
    input: Buffer.concat(
      entries.flatMap(([mode, name, sha]) => [
        Buffer.from(`${mode} ${name}\0`),
        Buffer.from(sha, "hex")
      ])
    )
  })

/** What a client sends to make `main` of a commit whose objects are all there. */
export const emptyPush = (sha: string): Uint8Array => {
  const command = `${"0".repeat(40)} ${sha} refs/heads/main\0report-status side-band-64k\n`
  const length = (command.length + 4).toString(16).padStart(4, "0")
  const pack = Buffer.from("PACK\0\0\0\u0002\0\0\0\0", "latin1")
  const sum = createHash("sha1").update(pack).digest()
  return Buffer.concat([Buffer.from(`${length}${command}0000`), pack, sum])
}

export const run = (
  cwd: string,
  args: ReadonlyArray<string>,
  { date, input }: { readonly date?: string; readonly input?: string | Buffer } = {}
) =>
  Effect.callback<string>((done) => {
    const env = {
      PATH: process.env.PATH,
      HOME: cwd,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_AUTHOR_NAME: "a",
      GIT_AUTHOR_EMAIL: "a@example.test",
      GIT_COMMITTER_NAME: "a",
      GIT_COMMITTER_EMAIL: "a@example.test",
      ...(date === undefined ? {} : { GIT_COMMITTER_DATE: date })
    }
    const child = execFile("git", args, { cwd, env }, (error, stdout, stderr) =>
      done(error === null ? Effect.succeed(stdout.trim()) : Effect.die(new Error(stderr)))
    )
    child.stdin?.end(input)
  })

/** What git is told over HTTP when it asks where a push would go; `more` makes it another question. */
export const ask = Effect.fnUntraced(function* (hosted: Repository, more: Partial<GitExchange>) {
  const git = yield* Git
  const reply = yield* git.exchange({
    repository: hosted,
    access: "write",
    method: "GET",
    path: "/info/refs",
    query: "service=git-receive-pack",
    contentType: undefined,
    contentEncoding: undefined,
    protocol: undefined,
    body: Stream.empty,
    pushed: () => Stream.empty,
    ...more
  })
  const text = yield* Stream.mkString(Stream.decodeText(reply.body))
  return { status: reply.status, type: reply.headers["content-type"], text }
}, Effect.scoped)
