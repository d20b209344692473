/** The world of this provider's tests: another git host on loopback, the real `git http-backend`. */
import { execFile, spawn } from "node:child_process"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import type { IncomingMessage, ServerResponse } from "node:http"
import { createServer } from "node:https"
import { createServer as createTcpServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { failureOf } from "@deploy-mcp/domain/Fault"
import { Git, type GitError } from "@deploy-mcp/domain/Git"
import { RepositoryId } from "@deploy-mcp/domain/model/Ids"
import { BranchName, CommitSha } from "@deploy-mcp/domain/model/Names"
import type { Repository, RepositoryIdentity } from "@deploy-mcp/domain/model/Service"
import * as Provider from "@deploy-mcp/domain/Provider"
import { ConfigProvider, Context, Effect, Layer } from "effect"
import { isPublic } from "./Address.ts"
import { certificates } from "./Certificates.world.ts"
import { GitHttps, onNetwork } from "./GitHttps.ts"
import type { Network } from "./Tunnel.ts"

export const host = "git.example.test"
export const main = BranchName.make("main")

/** What a test can see and change of the other host. */
export class Elsewhere extends Context.Service<
  Elsewhere,
  {
    /** Bare repositories are `owner/name.git` below. */
    readonly root: string
    /** What the provider keeps, over all its instances. */
    readonly directory: string
    readonly port: number
    readonly authorities: string
    /** Answers before git does; for redirects, refusals and servers that hang. */
    readonly detour: { answer: ((url: string, response: ServerResponse) => boolean) | null }
    /** Paths that were asked for, in order. */
    readonly asked: Array<string>
    /** Addresses of names, asked anew for each connection. */
    readonly names: Map<string, () => ReadonlyArray<string>>
    /** Connections that reached a port that nobody may reach, at 127.0.0.2. */
    readonly intruders: { count: number }
  }
>()("GitHttps.world/Elsewhere") {}

export const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "git-https-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

export const elsewhere = Layer.effect(
  Elsewhere,
  Effect.gen(function* () {
    const root = yield* folder
    const made = certificates([host, "other.example.test", "rebind.example.test"])
    const authorities = join(root, "authorities.pem")
    yield* Effect.promise(() => writeFile(authorities, made.authority))
    const backend = join(yield* run(root, ["--exec-path"]), "git-http-backend")
    const detour: Elsewhere["Service"]["detour"] = { answer: null }
    const asked: Array<string> = []
    const server = createServer({ key: made.key, cert: made.certificate }, (request, response) => {
      asked.push(request.url ?? "")
      if (detour.answer?.(request.url ?? "", response)) return
      serve(backend, root, request, response)
    })
    const port = yield* listening(server, "127.0.0.1", 0)
    const intruders = { count: 0 }
    const trap = createTcpServer((socket) => {
      intruders.count += 1
      socket.destroy()
    })
    yield* listening(trap, "127.0.0.2", port)
    const names = new Map([
      [host, () => ["127.0.0.1"]],
      ["other.example.test", () => ["127.0.0.1"]]
    ])
    const directory = yield* folder
    return { root, directory, port, authorities, detour, asked, names, intruders }
  })
)

/** The provider with the world that it reads from. */
export const provider = (settings: Record<string, unknown> = {}) =>
  Layer.provideMerge(providerThere(settings), elsewhere)

/** The provider, allowed to dial 127.0.0.1 and no other address that isn't public. */
export const providerThere = (settings: Record<string, unknown> = {}) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const world = yield* Elsewhere
      return providerOn(
        {
          lookup: async (name) =>
            (world.names.get(name)?.() ?? []).map((address) => ({
              address,
              family: address.includes(":") ? 6 : 4
            })),
          permits: (address) => address === "127.0.0.1" || isPublic(address),
          port: world.port
        },
        settings
      )
    })
  )

export const providerOn = (network: Network | undefined, settings: Record<string, unknown>) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { authorities, directory } = yield* Elsewhere
      const GitProvider = network === undefined ? GitHttps : onNetwork(network)
      return Layer.unwrap(Effect.map(GitProvider.config, GitProvider.make)).pipe(
        Layer.orDie,
        Layer.provide(
          ConfigProvider.layer(
            ConfigProvider.fromUnknown({
              path: process.env.PATH,
              authorities,
              ...settings
            })
          )
        ),
        Layer.provideMerge(
          Layer.succeed(Provider.Host, {
            directory,
            artifacts: directory,
            node: { bin: "", version: "" }
          })
        )
      )
    })
  )

let count = 0
/** One that has never been asked for. */
export const repositoryOf = (identity: Partial<RepositoryIdentity> = {}): Repository => {
  count += 1
  const id = RepositoryId.make(`rep_${String(count).padStart(20, "0")}`)
  return { id, host, owner: "Owner", name: `repository-${count}`, ...identity }
}

/** A repository on the other host, with a work tree to change it by. */
export const repository = Effect.gen(function* () {
  const { root } = yield* Elsewhere
  const repo = repositoryOf()
  const bare = join(root, repo.owner, `${repo.name}.git`)
  const work = yield* folder
  yield* Effect.promise(() => mkdir(bare, { recursive: true }))
  yield* run(bare, ["init", "-q", "--bare"])
  yield* run(bare, ["config", "uploadpack.allowFilter", "true"])
  yield* run(work, ["init", "-q"])
  return { repo, name: repo.name, bare, work }
})

export const commit = (
  { bare, work }: { readonly bare: string; readonly work: string },
  contents: Record<string, string | Buffer>,
  branch = "main",
  date = "2020-01-01T00:00:00Z"
) =>
  Effect.gen(function* () {
    yield* Effect.promise(async () => {
      for (const [name, content] of Object.entries(contents)) {
        await mkdir(join(work, name, ".."), { recursive: true })
        await writeFile(join(work, name), content)
      }
    })
    yield* run(work, ["add", "--all"])
    yield* run(work, ["commit", "-qm", "test", "--allow-empty"], date)
    yield* run(work, ["push", "-q", bare, `HEAD:refs/heads/${branch}`])
    return CommitSha.make(yield* run(work, ["rev-parse", "HEAD"]))
  })

export const failureIn = <A, R>(effect: Effect.Effect<A, GitError, R>) =>
  Effect.map(Effect.flip(effect), (error) => failureOf(error.reason))

export const codeOf = <A, R>(effect: Effect.Effect<A, GitError, R>) =>
  Effect.map(failureIn(effect), ({ code }) => code)

export const ensure = (repository: Repository) => Git.use((git) => git.ensureRepository(repository))

export const run = (cwd: string, args: ReadonlyArray<string>, date?: string, input?: string) =>
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
    // git may be gone before it is asked to read.
    child.stdin?.on("error", () => undefined)
    child.stdin?.end(input)
  })

/** CGI: the headers of the answer come first, then its body. */
const serve = (
  backend: string,
  root: string,
  request: IncomingMessage,
  response: ServerResponse
) => {
  const url = new URL(request.url ?? "/", "https://x")
  const child = spawn(backend, [], {
    stdio: ["pipe", "pipe", "ignore"],
    env: {
      PATH: process.env.PATH,
      HOME: root,
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "safe.directory",
      GIT_CONFIG_VALUE_0: "*",
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: "1",
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method ?? "GET",
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      HTTP_CONTENT_ENCODING: String(request.headers["content-encoding"] ?? ""),
      GIT_PROTOCOL: String(request.headers["git-protocol"] ?? "")
    }
  })
  response.once("close", () => child.kill())
  child.stdin.on("error", () => undefined)
  request.pipe(child.stdin)
  let before: Buffer | null = Buffer.alloc(0)
  child.stdout.on("data", (chunk: Buffer) => {
    if (before === null) return response.write(chunk)
    before = Buffer.concat([before, chunk])
    const end = before.indexOf("\r\n\r\n")
    if (end < 0) return
    for (const line of before.subarray(0, end).toString().split("\r\n")) {
      const [name = "", value = ""] = line.split(": ")
      if (name === "Status") response.statusCode = Number.parseInt(value, 10)
      else response.setHeader(name, value)
    }
    response.write(before.subarray(end + 4))
    before = null
  })
  child.stdout.once("end", () => response.end())
}

const listening = (server: ReturnType<typeof createTcpServer>, address: string, port: number) =>
  Effect.acquireRelease(
    Effect.callback<number>((done) => {
      server.listen(port, address, () => {
        const bound = server.address()
        done(Effect.succeed(typeof bound === "object" && bound !== null ? bound.port : 0))
      })
    }),
    () =>
      Effect.callback<void>((done) => {
        if ("closeAllConnections" in server && typeof server.closeAllConnections === "function") {
          server.closeAllConnections()
        }
        server.close(() => done(Effect.void))
      })
  )
