/** Files become a commit, a repository and a service as far as they are missing, and a deployment. */

import { createHash } from "node:crypto"
import { planned } from "@deploy-mcp/domain/commands/Plan"
import type { DeployFiles } from "@deploy-mcp/domain/commands/Services"
import { refuse } from "@deploy-mcp/domain/Failure"
import type { CommitFile } from "@deploy-mcp/domain/Git"
import { CommitSha, defaultBranch, RepositoryRef } from "@deploy-mcp/domain/model/Names"
import { Principal, requireScope } from "@deploy-mcp/domain/model/Principal"
import { repositoryPath } from "@deploy-mcp/domain/model/Service"
import { Effect, Option } from "effect"
import { Gits } from "../Instances.ts"
import { IdempotencyStore } from "../store/IdempotencyStore.ts"
import { RepositoryStore, repositoryIn } from "../store/RepositoryStore.ts"
import { ServiceStore } from "../store/ServiceStore.ts"
import { Transactions } from "../store/Transactions.ts"
import { admission } from "./Admission.ts"
import { createService } from "./CreateService.ts"
import { followers } from "./Followers.ts"
import { identifying } from "./Identify.ts"
import { Present } from "./Present.ts"
import { orRefused } from "./Repositories.ts"
import { repositoryQuota } from "./RepositoryQuota.ts"
import { ServiceLookup } from "./ServiceLookup.ts"
import { filesOf } from "./Tarball.ts"

const maxFiles = 10_000

/** The command `Services.deployFiles`, over the stores that are here. */
export const deployFiles = Effect.gen(function* () {
  const { whole } = yield* Transactions
  const gits = yield* Gits
  const { identifyOurs } = yield* identifying
  const services = yield* ServiceStore
  const repositories = yield* RepositoryStore
  const idempotency = yield* IdempotencyStore
  const lookup = yield* ServiceLookup
  const present = yield* Present
  const create = yield* createService
  const admit = yield* admission
  const { deployFollowers } = yield* followers
  const quota = yield* repositoryQuota

  return Effect.fn("Services.deployFiles")(function* (input: DeployFiles) {
    yield* requireScope("services:deploy")
    yield* requireScope("repositories:write")
    const principal = yield* Principal
    const files = yield* contentOf(input)
    const project = yield* lookup.project(input.project)
    const known = yield* services.find(principal.owner, project, input.name)
    const identity = yield* Option.match(known, {
      onNone: () => identifyOurs(input.name, undefined),
      onSome: (row) => identifyOurs(`${row.repoOwner}/${row.repoName}`, row.repoHost)
    })
    const branch = Option.match(known, {
      onNone: () => defaultBranch,
      onSome: (row) => row.branch
    })
    const { subject } = yield* idempotency
      .once(
        {
          owner: principal.owner,
          command: "deploy_files",
          key: input.idempotencyKey,
          request: [project, input.name, digestOf(files)],
          current: lookup.current(input)
        },
        Effect.gen(function* () {
          yield* admit({
            owner: principal.owner,
            key: principal.key,
            stages: Option.match(known, { onNone: () => [], onSome: ({ stageId }) => [stageId] })
          })
          const added = yield* repositories.add(principal.owner, identity, "", gits.default)
          yield* planned(
            ...(added ? [`creates the repository ${repositoryPath(identity)}`] : []),
            `commits ${files.length} files as the whole content of '${branch}'`,
            ...(Option.isNone(known) ? [`creates the service '${input.name}'`] : []),
            "deploys the commit"
          )
          const row = yield* repositories.find(principal.owner, identity)
          const { gitInstance } = Option.getOrThrow(row)
          const repository = repositoryIn(Option.getOrThrow(row))
          const git = gits.get(gitInstance)
          const message = input.message ?? "Files deployed by an agent"
          yield* orRefused(git.ensureRepository(repository))
          const bytes = files.reduce((sum, { content }) => sum + content.length, 0)
          const refusal = yield* orRefused(quota.objection(principal.owner, bytes))
          if (refusal !== null) return yield* refusal
          return yield* orRefused(git.commit(repository, branch, files, message))
        })
      )
      .pipe(whole)

    // Each of these converges, so a call that was cut off here is ended by the same call again.
    if (Option.isNone(known)) {
      yield* create({
        name: input.name,
        repo: RepositoryRef.make(identity.name),
        branch,
        settings: {},
        variables: {},
        ...(input.project === undefined ? {} : { project: input.project })
      })
    }
    const repository = yield* repositories.find(principal.owner, identity)
    if (Option.isSome(repository)) yield* orRefused(deployFollowers(repository.value, branch))
    const service = yield* present.service(yield* lookup.service(input))
    return { service, created: Option.isNone(known), commit: CommitSha.make(subject) }
  })
})

const contentOf = Effect.fnUntraced(function* ({ source }: DeployFiles) {
  const files: ReadonlyArray<CommitFile> =
    source instanceof Uint8Array ? yield* filesOf(source) : source
  if (files.length === 0) {
    return yield* refuse("invalid_argument", "files: there is none.", {
      next: 'Give at least one file, e.g. {"index.html": "<h1>Hello</h1>"}.'
    })
  }
  if (files.length > maxFiles) {
    return yield* refuse("request_too_large", `files: at most ${maxFiles} are allowed.`, {
      next: "Leave out what a build makes or installs; or use git push."
    })
  }
  return files
})

const digestOf = (files: ReadonlyArray<CommitFile>): string => {
  const hash = createHash("sha256")
  for (const { path, content } of files.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    hash.update(`${path}\0${content.length}\0`).update(content)
  }
  return hash.digest("hex")
}
