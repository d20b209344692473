/**
 * The first answer of a push or fetch, which says where the refs stand and what git can do here.
 * It needs no git: refs are read from files, and what git can do was asked of git itself. Whatever
 * is not plain (many refs, symbolic ones, names we do not know) is left to git. A push that was
 * told wrong or old heads is refused by git when it comes, so nothing here has to be trusted.
 */
import { readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import type { GitError, GitExchange, GitReply } from "@deploy-mcp/domain/Git"
import { Effect, Stream } from "effect"
import { type GitHost, readText, storage } from "./GitHost.ts"

/** null: git has to answer this one. */
export type Advertise = (
  request: GitExchange,
  repository: string
) => Effect.Effect<GitReply | null, GitError>

export const make = Effect.fn("Advertisement.make")(function* (host: GitHost) {
  const { capabilities, versionTwo } = yield* whatGitCan(host)
  const advertise: Advertise = Effect.fn("Advertisement.advertise")(
    function* (request, repository) {
      if (request.method !== "GET" || request.path !== "/info/refs") return null
      if (request.query === "service=git-upload-pack" && request.protocol === "version=2") {
        return versionTwo === null ? null : answer("git-upload-pack", versionTwo)
      }
      const isPush = request.query === "service=git-receive-pack" && request.access === "write"
      if (!isPush || request.protocol !== undefined || capabilities === null) return null
      const refs = yield* plainRefs(repository)
      return refs === null ? null : answer("git-receive-pack", advertised(refs, capabilities))
    }
  )
  return advertise
})

/** Asked for a repository that has nothing, so that only abilities are in the answers. */
const whatGitCan = Effect.fnUntraced(function* (host: GitHost) {
  const ask = (service: string, env: Record<string, string>) =>
    host.git([...allowed, service, "--stateless-rpc", "--advertise-refs", host.plain], env)
  const [push, fetch] = yield* Effect.all(
    [ask("receive-pack", {}), ask("upload-pack", { GIT_PROTOCOL: "version=2" })],
    { concurrency: 2 }
  )
  return {
    capabilities: nothingButCapabilities.exec(push.stdout)?.[1] ?? null,
    versionTwo: fetch.stdout.startsWith("000eversion 2\n") ? fetch.stdout : null
  }
})

const nothingButCapabilities = /^[0-9a-f]{4}0{40} capabilities\^\{\}\0([ -~]+)\n0000$/

/** As in an exchange. */
const allowed = ["-c", "uploadpack.allowFilter=true", "-c", "receive.advertisePushOptions=false"]

/** Names and commits in git's order; null when git should look by itself. */
const plainRefs = Effect.fnUntraced(function* (repository: string) {
  const found = new Map<string, string>()
  // Loose refs win over packed ones, and are looked for first: git packs before it deletes.
  const loose = yield* looseNames(repository)
  if (loose === null || loose.length > mostLoose) return null
  const values = yield* Effect.forEach(loose, (name) => readText(join(repository, name)), {
    concurrency: "unbounded"
  })
  const packed = yield* packedRefs(repository)
  if (packed === null) return null
  for (const [commit, name] of packed) found.set(name, commit)
  for (const [index, name] of loose.entries()) {
    const value = values[index]?.trimEnd()
    // A ref that went meanwhile may be packed now.
    if (value !== undefined) found.set(name, value)
  }
  const shown = [...found].filter(([name]) => !name.startsWith("refs/internal/"))
  return shown.every(([name, commit]) => plainName.test(name) && plainCommit.test(commit))
    ? shown.toSorted(([a], [b]) => (a < b ? -1 : 1))
    : null
})

/** More files than this cost more than to start git. */
const mostLoose = 64
const longestPacked = 64 * 1024
const plainName = /^refs\/(?:heads|tags)\/[A-Za-z0-9._+/-]+$/
const plainCommit = /^[0-9a-f]{40}$/

/** A folder may go with its last ref while we look. */
const looseNames = (repository: string) =>
  Effect.promise(() =>
    readdir(join(repository, "refs"), { recursive: true, withFileTypes: true }).then(
      (entries) =>
        entries
          .filter((entry) => !entry.isDirectory() && !entry.name.endsWith(".lock"))
          .map((entry) => join(entry.parentPath, entry.name).slice(repository.length + 1)),
      () => null
    )
  )

const packedRefs = Effect.fnUntraced(function* (repository: string) {
  const file = join(repository, "packed-refs")
  const size = yield* storage(() =>
    stat(file).then(
      ({ size }) => size,
      () => 0
    )
  )
  if (size > longestPacked) return null
  const text = size === 0 ? null : yield* readText(file)
  // A line of its own, beginning with ^, says what a tag points to.
  const lines = (text ?? "").split("\n").filter((line) => /^[0-9a-f]/.test(line))
  return lines.map((line) => [line.slice(0, 40), line.slice(41)] as const)
})

const advertised = (refs: ReadonlyArray<readonly [string, string]>, capabilities: string) => {
  const lines =
    refs.length === 0
      ? [`${"0".repeat(40)} capabilities^{}\0${capabilities}\n`]
      : refs.map(([name, commit], index) =>
          index === 0 ? `${commit} ${name}\0${capabilities}\n` : `${commit} ${name}\n`
        )
  return `${packet("# service=git-receive-pack\n")}0000${lines.map(packet).join("")}0000`
}

/** gitprotocol-common(5): four hexadecimal digits that count themselves. All text is ASCII. */
const packet = (text: string) => `${(text.length + 4).toString(16).padStart(4, "0")}${text}`

const answer = (service: string, text: string): GitReply => ({
  status: 200,
  headers: {
    "content-type": `application/x-${service}-advertisement`,
    "cache-control": "no-cache, max-age=0, must-revalidate"
  },
  body: Stream.make(Buffer.from(text, "latin1"))
})
