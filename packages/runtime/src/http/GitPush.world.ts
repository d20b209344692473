/** The world of the door's tests: a real server, the real provider and client, tokens in memory. */
import { spawn } from "node:child_process"
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { createServer, request as httpRequest, type IncomingMessage } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { refuse } from "@deploy-mcp/domain/Failure"
import { Git, type RefUpdate } from "@deploy-mcp/domain/Git"
import { OwnerId, RepositoryId } from "@deploy-mcp/domain/model/Ids"
import { BranchName, CommitSha } from "@deploy-mcp/domain/model/Names"
import type { Repository } from "@deploy-mcp/domain/model/Service"
import * as Provider from "@deploy-mcp/domain/Provider"
import { GitEmbedded } from "@deploy-mcp/providers/git/embedded/GitEmbedded"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { ConfigProvider, Context, Effect, Layer, Redacted, Schedule, Stream } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import * as Instances from "../Instances.ts"
import { GitAccess } from "./GitAccess.ts"
import * as GitPush from "./GitPush.ts"

const pusher = OwnerId.make(`own_${"a".repeat(20)}`)

interface Grant {
  readonly repository: Repository
  readonly path: string
  readonly access: "read" | "write"
}

class World extends Context.Service<
  World,
  {
    readonly origin: string
    readonly directory: string
    readonly grants: Map<string, Grant>
    readonly progress: Map<string, (updates: ReadonlyArray<RefUpdate>) => Stream.Stream<string>>
  }
>()("test/World") {}

export function world(settings: Record<string, unknown>) {
  const grants = new Map<string, Grant>()
  const progress = new Map<string, (updates: ReadonlyArray<RefUpdate>) => Stream.Stream<string>>()
  const Access = Layer.succeed(GitAccess, {
    authorize: (owner, repo, token, access) => {
      const grant = token === null ? undefined : grants.get(Redacted.value(token))
      if (grant === undefined) return Effect.fail(refuse("unauthorized", "The token is not valid."))
      if (grant.path !== `${owner}/${repo}`) {
        return Effect.fail(refuse("not_found", `There is no repository ${owner}/${repo}.`))
      }
      return access === "write" && grant.access === "read"
        ? Effect.fail(refuse("forbidden", "This token can only read."))
        : Effect.succeed({ owner: pusher, repository: grant.repository, gitInstance: "internal" })
    },
    objection: () => Effect.succeed(null),
    pushed: (_owner, repository, updates) => progress.get(repository)?.(updates) ?? Stream.empty
  })
  const Directory = Layer.effect(
    Provider.Host,
    Effect.map(temporary, (directory) => ({
      directory,
      artifacts: directory,
      node: { bin: "", version: "" }
    }))
  )
  const Provided = Layer.unwrap(Effect.map(GitEmbedded.config, GitEmbedded.make)).pipe(
    Layer.provide(
      ConfigProvider.layer(ConfigProvider.fromUnknown({ path: process.env.PATH, ...settings }))
    ),
    Layer.provideMerge(Directory)
  )
  const Server = HttpRouter.serve(GitPush.layer, {
    disableLogger: true,
    disableListenLog: true
  }).pipe(
    Layer.provide(Access),
    Layer.provide(Instances.single(Instances.Gits, Git, "internal")),
    Layer.provideMerge(Provided),
    Layer.provideMerge(
      NodeHttpServer.layer(() => createServer(), {
        port: 0,
        host: "127.0.0.1",
        gracefulShutdownTimeout: 0
      })
    )
  )
  return Layer.effect(
    World,
    Effect.gen(function* () {
      const server = yield* HttpServer.HttpServer
      const host = yield* Provider.Host
      const origin = HttpServer.formatAddress(server.address)
      return { origin, directory: host.directory, grants, progress }
    })
  ).pipe(Layer.provideMerge(Server))
}

export const temporary = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "git-push-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

let count = 0
export const repositoryThat = (
  progress: (updates: ReadonlyArray<RefUpdate>) => Stream.Stream<string>
) =>
  Effect.gen(function* () {
    const world = yield* World
    count += 1
    const owner = "awake-dassie"
    const name = `repo-${count}`
    const path = `${owner}/${name}`
    const repo = {
      id: RepositoryId.make(`rep_${String(count).padStart(20, "0")}`),
      host: "internal",
      owner,
      name
    }
    const bare = `${world.origin}/git/${path}.git`
    const write = `mlg_write${count}`
    const read = `mlg_read${count}`
    const seen: Array<RefUpdate> = []
    world.grants.set(write, { repository: repo, path, access: "write" })
    world.grants.set(read, { repository: repo, path, access: "read" })
    world.progress.set(repo.id, (updates) => {
      seen.push(...updates)
      return progress(updates)
    })
    yield* Git.use((git) => git.ensureRepository(repo))
    const as = (user: string) => bare.replace("//", `//${user}@`)
    const url = as(`x:${write}`)
    return { repo, bare, url, as, read, write, directory: world.directory, updates: () => seen }
  })

export const repository = repositoryThat((updates) =>
  Stream.fromIterable(updates.map(({ branch, to }) => `${branch} is at ${to}`))
)

export const main = BranchName.make("main")
export const origin = (url: string) => new URL(url).origin

export const workTree = Effect.gen(function* () {
  const parent = yield* temporary
  const work = join(parent, "work")
  yield* Effect.promise(() => mkdir(work))
  yield* git(work, "init", "--quiet", "--initial-branch=main")
  return work
})

export const commit = (work: string, files: Record<string, string>) =>
  Effect.gen(function* () {
    yield* Effect.promise(async () => {
      for (const [name, content] of Object.entries(files)) {
        await mkdir(join(work, name, ".."), { recursive: true })
        await writeFile(join(work, name), content)
      }
    })
    yield* git(work, "add", "--all")
    yield* git(work, "commit", "--quiet", "--allow-empty", "--message=test")
    return CommitSha.make((yield* git(work, "rev-parse", "HEAD")).stdout.trim())
  })

export const evilCommit = (work: string, name: string) =>
  Effect.gen(function* () {
    const blob = (yield* git(work, "rev-parse", "HEAD:a")).stdout.trim()
    const inner = Buffer.concat([Buffer.from("100644 config\0"), Buffer.from(blob, "hex")])
    const sub = yield* object(work, inner)
    const tree = yield* object(
      work,
      Buffer.concat([Buffer.from(`40000 ${name}\0`), Buffer.from(sub, "hex")])
    )
    return (yield* git(work, "commit-tree", "-m", "evil", tree)).stdout.trim()
  })

/** Written past git's own checks. */
const object = (work: string, bytes: Buffer) =>
  Effect.gen(function* () {
    const file = join(work, "..", "object")
    yield* Effect.promise(() => writeFile(file, bytes))
    return (yield* git(work, "hash-object", "-t", "tree", "-w", "--literally", file)).stdout.trim()
  })

/** What `git push` would send to `/git-receive-pack` for a new branch `main`. */
export const pushBody = (work: string, sha: string) =>
  Effect.gen(function* () {
    const packed = yield* git(work, "-c", "core.compression=0", "pack-objects", "--all", "../pack")
    const pack = yield* Effect.promise(() =>
      readFile(join(work, "..", `pack-${packed.stdout.trim()}.pack`))
    )
    const command = `${"0".repeat(40)} ${sha} refs/heads/main\0report-status\n`
    const length = (command.length + 4).toString(16).padStart(4, "0")
    return Buffer.concat([Buffer.from(`${length}${command}0000`), pack])
  })

export const text = (file: string) => Effect.promise(() => readFile(file, "utf8"))

// A real git client, which must not share our event loop.

export const client = (cwd: string, args: ReadonlyArray<string>) => {
  const child = spawn("git", args, {
    cwd,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env.PATH,
      HOME: join(cwd, "..", "home"),
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_TERMINAL_PROMPT: "0",
      GIT_AUTHOR_NAME: "a",
      GIT_AUTHOR_EMAIL: "a@example.test",
      GIT_COMMITTER_NAME: "a",
      GIT_COMMITTER_EMAIL: "a@example.test",
      GIT_CONFIG_COUNT: "2",
      GIT_CONFIG_KEY_0: "safe.directory",
      GIT_CONFIG_VALUE_0: "*",
      GIT_CONFIG_KEY_1: "core.protectHFS",
      GIT_CONFIG_VALUE_1: "false"
    }
  })
  const out = { stdout: "", stderr: "" }
  child.stdout.on("data", (more) => {
    out.stdout += String(more)
  })
  child.stderr.on("data", (more) => {
    out.stderr += String(more)
  })
  const closed = new Promise<number>((done) => child.on("close", (code) => done(code ?? -1)))
  return {
    process: child,
    stdout: () => out.stdout,
    stderr: () => out.stderr,
    exit: Effect.promise(() => closed),
    kill: () => {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
    }
  }
}

export const git = (cwd: string, ...args: ReadonlyArray<string>) =>
  Effect.suspend(() => {
    const running = client(cwd, args)
    return Effect.map(running.exit, (code) => ({
      code,
      stdout: running.stdout(),
      stderr: running.stderr()
    }))
  })

export const rawPost = (url: string, auth: string, headers: Record<string, string>) =>
  httpRequest(url, {
    method: "POST",
    auth,
    headers: { "content-type": "application/x-git-receive-pack-request", ...headers }
  }).on("error", () => {})

export const send = (
  url: string,
  options: { readonly method: string; readonly auth?: string; readonly body?: Buffer }
) =>
  Effect.callback<{ status: number | undefined; headers: IncomingMessage["headers"] }>((done) => {
    // `path` as it stands: the URL class would resolve `..` away.
    const { hostname, port } = new URL(url)
    httpRequest(
      {
        hostname,
        port,
        path: url.slice(origin(url).length),
        method: options.method,
        ...(options.auth === undefined ? {} : { auth: options.auth })
      },
      (response) => {
        response.resume()
        done(Effect.succeed({ status: response.statusCode, headers: response.headers }))
      }
    ).end(options.body)
  })

export const get = (url: string) => send(url, { method: "GET" })

export const until = (condition: () => boolean) =>
  Effect.suspend(() => (condition() ? Effect.void : Effect.fail("not yet"))).pipe(
    Effect.retry({ schedule: Schedule.spaced("5 millis") }),
    Effect.timeout("20 seconds"),
    Effect.orDie
  )

/** Bytes that no pack makes smaller, the same in every run. */
export const noiseOf = (length: number): Buffer => {
  let state = length
  return Buffer.from(
    Array.from({ length }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state >>> 24
    })
  )
}
