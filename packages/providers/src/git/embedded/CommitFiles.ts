/** Commits that the platform makes itself, from files that came without git. */
import { mkdtemp, rm } from "node:fs/promises"
import { basename, join } from "node:path"
import type { CommitFile } from "@deploy-mcp/domain/Git"
import { type BranchName, CommitSha } from "@deploy-mcp/domain/model/Names"
import { Clock, Effect, Schema } from "effect"
import { rejected, unavailable } from "../GitFault.ts"
import { type GitHost, readText, storage } from "./GitHost.ts"
import { head } from "./Refs.ts"

/** The commit is made under a ref of its own, so that the branch moves only to something new. */
export const commitFiles = Effect.fn("CommitFiles.commitFiles")(function* (
  host: GitHost,
  limits: { readonly maxPushBytes: number },
  repository: string,
  branch: BranchName,
  files: ReadonlyArray<CommitFile>,
  message: string
) {
  if ((yield* readText(join(repository, "HEAD"))) === null) {
    return yield* rejected("repository_missing", "This repository does not exist.")
  }
  if (files.reduce((sum, { content }) => sum + content.length, 0) > limits.maxPushBytes) {
    return yield* rejected("source_too_large", "The files are larger than a push may be.")
  }
  const before = yield* head(repository, branch)
  const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  const here = { GIT_DIR: repository }
  return yield* Effect.acquireUseRelease(
    storage(() => mkdtemp(join(host.temporary, "commit-"))),
    (scratch) =>
      Effect.gen(function* () {
        const ref = `refs/deploy-mcp/${basename(scratch)}`
        const stream = fastImport({ ref, before, seconds, message, files })
        const imported = yield* host.git(["fast-import", "--quiet", "--done"], here, stream)
        if (imported.code !== 0) return yield* whyNot(imported.stderr)
        return yield* moveBranch(host, here, { branch, before, ref }).pipe(
          Effect.ensuring(Effect.ignore(host.git(["update-ref", "-d", ref], here)))
        )
      }),
    (scratch) => Effect.ignore(storage(() => rm(scratch, { recursive: true, force: true })))
  )
})

interface Import {
  readonly ref: string
  readonly before: CommitSha | null
  readonly seconds: number
  readonly message: string
  readonly files: ReadonlyArray<CommitFile>
}

const fastImport = ({ ref, before, seconds, message, files }: Import) =>
  Buffer.concat([
    Buffer.from(
      `feature done\ncommit ${ref}\ncommitter Deploy MCP <deploy-mcp@localhost> ${seconds} +0000\n`
    ),
    data(Buffer.from(message)),
    Buffer.from(before === null ? "" : `from ${before}\n`),
    Buffer.from("deleteall\n"),
    ...files.flatMap(({ path, content, executable }) => [
      Buffer.from(`M ${executable === true ? "100755" : "100644"} inline ${path}\n`),
      data(content)
    ]),
    Buffer.from("done\n")
  ])

const data = (bytes: Uint8Array) =>
  Buffer.concat([Buffer.from(`data ${bytes.length}\n`), bytes, Buffer.from("\n")])

const moveBranch = Effect.fn("CommitFiles.moveBranch")(function* (
  host: GitHost,
  here: Readonly<Record<string, string>>,
  move: { readonly branch: BranchName; readonly before: CommitSha | null; readonly ref: string }
) {
  const names = [move.ref, `${move.ref}^{tree}`]
  if (move.before !== null) names.push(`${move.before}^{tree}`)
  const { code, stdout, stderr } = yield* host.git(["rev-parse", ...names], here)
  if (code !== 0) return yield* whyNot(stderr)
  const [commit = "", tree, treeBefore] = stdout.split("\n")
  if (!isCommit(commit)) return yield* whyNot(stdout)
  if (move.before !== null && tree === treeBefore) return move.before
  const from = move.before ?? "0".repeat(40)
  const moved = yield* host.git(["update-ref", `refs/heads/${move.branch}`, commit, from], here)
  return moved.code === 0
    ? commit
    : yield* unavailable("The branch was pushed to at the same moment; try again.")
})

const isCommit = Schema.is(CommitSha)

const whyNot = (stderr: string) =>
  Effect.logWarning("git could not commit files", { stderr }).pipe(
    Effect.andThen(Effect.fail(unavailable("The files cannot be committed now.")))
  )
