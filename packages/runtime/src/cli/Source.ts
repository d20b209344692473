/**
 * The files of a directory as a commit that can be pushed. A committed repository is pushed as it
 * is; any other folder gets a temporary repository outside of it. Nothing is written into either.
 */
import { basename, join, resolve } from "node:path"
import { refuse } from "@deploy-mcp/domain/Failure"
import { Effect, FileSystem } from "effect"
import * as Git from "./Git.ts"

export interface Source {
  readonly kind: "repository" | "folder"
  /** Where git is run. */
  readonly directory: string
  /** Path of the wanted folder inside of the repository; absent for its top. */
  readonly rootDirectory: string | undefined
  /** A valid name made of the folder's name. */
  readonly name: string
  /** The same for the repository that holds it. */
  readonly repositoryName: string
  /** What a person should know before it is pushed. */
  readonly notes: ReadonlyArray<string>
}

/** A commit and the environment in which git finds it. */
export interface Commit {
  readonly sha: string
  readonly env: Readonly<Record<string, string>>
}

export const open = Effect.fn("Source.open")(function* (given: string) {
  const files = yield* FileSystem.FileSystem
  const directory = resolve(given)
  const info = yield* Effect.option(files.stat(directory))
  if (info._tag === "None" || info.value.type !== "Directory") {
    return yield* refuse("invalid_argument", `There is no folder '${given}'.`, {
      next: "Name a folder that exists, e.g. deploy-mcp deploy ./my-app"
    })
  }
  const name = nameFrom(basename(directory))
  const inside = yield* Git.run(["rev-parse", "--show-toplevel", "--show-prefix"], {
    cwd: directory
  })
  const [top = "", prefix = ""] = inside.stdout.split("\n")
  const committed =
    inside.code === 0 &&
    (yield* Git.run(["rev-parse", "--quiet", "--verify", `HEAD:${prefix}`], { cwd: directory }))
      .code === 0
  if (!committed) {
    const folder: Source = {
      kind: "folder",
      directory,
      rootDirectory: undefined,
      name,
      repositoryName: name,
      notes: []
    }
    return folder
  }
  const changed = yield* Git.output(["status", "--porcelain", "--", "."], { cwd: directory })
  const count = changed === "" ? 0 : changed.split("\n").length
  const repository: Source = {
    kind: "repository",
    directory,
    rootDirectory: prefix === "" ? undefined : prefix.replace(/\/$/u, ""),
    name,
    repositoryName: nameFrom(basename(top)),
    notes:
      count === 0 ? [] : [`${count} changed or new files are not committed, so they stay behind.`]
  }
  return repository
})

/** The commit to push. A folder's commit follows the one that the remote branch has now. */
export const commit = (source: Source, remote: Git.Remote, branch: string) =>
  source.kind === "repository"
    ? Git.output(["rev-parse", "HEAD"], { cwd: source.directory }).pipe(
        Effect.map((sha): Commit => ({ sha, env: {} }))
      )
    : commitFolder(source.directory, remote, branch)

const commitFolder = Effect.fn("Source.commitFolder")(
  function* (directory: string, remote: Git.Remote, branch: string) {
    const files = yield* FileSystem.FileSystem
    const gitDir = yield* files.makeTempDirectoryScoped({ prefix: "deploy-mcp-push-" })
    const env = { GIT_DIR: gitDir, GIT_WORK_TREE: directory, ...identity }
    const git = (...args: ReadonlyArray<string>) => Git.output(args, { cwd: directory, env })
    yield* git("init", "--quiet", "--template=")
    yield* files.makeDirectory(join(gitDir, "info"), { recursive: true })
    yield* files.writeFileString(join(gitDir, "info/exclude"), `${neverPushed.join("\n")}\n`)
    yield* git("-c", "core.autocrlf=false", "add", "--all", "--", ".")
    const tree = yield* git("write-tree")
    if (tree === emptyTree) {
      return yield* refuse("nothing_to_deploy", `There are no files to deploy in ${directory}.`, {
        next: "Add an index.html or a package.json, then try again."
      })
    }
    const parent = yield* fetchHead(remote, branch, { cwd: directory, env })
    const unchanged = parent !== undefined && (yield* git("rev-parse", `${parent}^{tree}`)) === tree
    const result: Commit = {
      env,
      sha: unchanged
        ? parent
        : yield* git(
            "commit-tree",
            tree,
            ...(parent === undefined ? [] : ["-p", parent]),
            "-m",
            `Deploy ${basename(directory)}`
          )
    }
    return result
  },
  Effect.catchTag("PlatformError", (error) =>
    Effect.fail(
      refuse("unavailable", "The temporary repository could not be made.", {
        evidence: [error.message],
        next: "Free some space in the folder for temporary files, or set TMPDIR."
      })
    )
  )
)

/** The newest commit of the remote branch, brought here; undefined when there is none yet. */
const fetchHead = Effect.fnUntraced(function* (
  remote: Git.Remote,
  branch: string,
  { cwd, env }: { readonly cwd: string; readonly env: Readonly<Record<string, string>> }
) {
  const ref = `refs/heads/${branch}`
  const options = { cwd, env: { ...env, ...remote.env } }
  // Asked first, because a fetch of a branch that is not there takes git a second to give up.
  const [sha = ""] = (yield* Git.output(["ls-remote", remote.url, ref], options)).split("\t")
  if (sha === "") return undefined
  yield* Git.output(["fetch", "--quiet", "--depth=1", "--no-tags", remote.url, ref], options)
  return sha
})

/** Lower-case letters, digits and hyphens, starting with a letter, at most 40 characters. */
export const nameFrom = (text: string): string => {
  const words = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/gu, "-")
    .replace(/^-+/u, "")
  const name = /^[a-z]/u.test(words) ? words : `app-${words}`
  return name.slice(0, 40).replace(/-+$/u, "")
}

/** What a folder without .gitignore must not give away; variables belong to the service. */
const neverPushed = ["node_modules/", ".deploy-mcp/", ".env", ".env.local", ".env.*.local"]

const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

const identity = {
  GIT_AUTHOR_NAME: "deploy-mcp",
  GIT_AUTHOR_EMAIL: "deploy-mcp@localhost",
  GIT_COMMITTER_NAME: "deploy-mcp",
  GIT_COMMITTER_EMAIL: "deploy-mcp@localhost"
}
