/** What lies in the home and with providers against rows. What is young may be in the making. */
import { existsSync, readdirSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import type { Fault } from "@deploy-mcp/domain/Fault"
import { LogName, Logs } from "@deploy-mcp/domain/Logs"
import type { ArtifactKey } from "@deploy-mcp/domain/model/Artifact"
import { DeploymentId } from "@deploy-mcp/domain/model/Ids"
import { repositoryPath } from "@deploy-mcp/domain/model/Service"
import { Clock, Effect, Schema } from "effect"
import { Builds, Gits } from "../Instances.ts"
import { Platform } from "../Platform.ts"
import { ReconcileStore } from "../store/ReconcileStore.ts"
import { type RepositoryRow, repositoryIn } from "../store/RepositoryStore.ts"
import { ArtifactTurn } from "../workflows/ArtifactTurn.ts"
import type { Difference } from "./Difference.ts"

/** `grace`: milliseconds that a thing without a row is left alone. */
export const homeDifferences = Effect.fnUntraced(function* (grace: number) {
  const { home, gitHost } = yield* Platform
  const rows = yield* ReconcileStore
  const logs = yield* Logs
  const builds = yield* Builds
  const gits = yield* Gits
  const { alone } = yield* ArtifactTurn
  const isOld = ({ at }: { readonly at: number }) =>
    Effect.map(Clock.currentTimeMillis, (now) => now - at >= grace)

  const works = Effect.gen(function* () {
    const found = yield* Effect.filter(foldersOf(join(home, "work")), isOld)
    const open = yield* rows.open
    return found
      .filter(({ id }) => !open.has(id))
      .map(
        ({ id, path }): Difference => ({
          kind: "work_directory",
          subject: id,
          sentence: `The work directory of deployment ${id} is there, but the deployment is not under way.`,
          remedy: "it is removed",
          mend: Effect.sync(() => rmSync(path, { recursive: true, force: true }))
        })
      )
  })

  const artifacts = Effect.gen(function* () {
    const unused = new Map<ArtifactKey, string>()
    for (const name of builds.names) {
      const kept = yield* Effect.filter(yield* builds.get(name).kept, isOld)
      const used = yield* rows.artifacts
      for (const { id } of kept) if (!used.has(id)) unused.set(id, name)
    }
    return [...unused].map(
      ([key, name]): Difference => ({
        kind: "artifact",
        subject: key,
        sentence: `The artifact ${key.slice(0, 12)} of build ${name} belongs to no release and to no running deployment.`,
        remedy: "it is removed",
        mend: Effect.flatMap(rows.artifacts, (used) =>
          used.has(key) ? Effect.void : Effect.orDie(builds.get(name).remove(key))
        ).pipe(alone)
      })
    )
  })

  const buildLogs = Effect.gen(function* () {
    const kept = yield* Effect.filter(yield* logs.kept, isOld)
    const known = yield* rows.deployments
    return kept.flatMap(({ id }): ReadonlyArray<Difference> => {
      const [kind, deployment = ""] = id.split("/")
      if (kind !== "deployments" || !isDeployment(deployment) || known.has(deployment)) return []
      return [
        {
          kind: "build_log",
          subject: deployment,
          sentence: `There is a build log of deployment ${deployment}, which no row knows.`,
          remedy: "it is removed",
          mend: Effect.orDie(logs.remove(LogName.make(id)))
        }
      ]
    })
  })

  const repositories = Effect.gen(function* () {
    const all: Array<Difference> = []
    for (const name of gits.names) {
      const git = gits.get(name)
      const kept = yield* git.kept
      const known = (yield* rows.repositories).filter((row) => row.gitInstance === name)
      const ids = new Set(known.map(({ id }) => id))
      for (const one of yield* Effect.filter(kept, isOld)) {
        if (!ids.has(one.id)) all.push(withoutRow(name, one))
      }
      const there = new Set(kept.map(({ id }) => id))
      for (const row of known) {
        if (row.host === gitHost && !there.has(row.id)) all.push(withoutFiles(row))
      }
    }
    return all
  })

  const withoutRow = (
    name: string,
    { id, onlyHere }: { readonly id: RepositoryRow["id"]; readonly onlyHere: boolean }
  ): Difference => ({
    kind: "repository",
    subject: id,
    sentence: `Git ${name} keeps the repository ${id}, which no row knows.`,
    ...(onlyHere
      ? {
          remedy:
            "it has commits that may be nowhere else, so it is left: look whether the database is an old one, and remove the folder by hand if not",
          mend: null
        }
      : {
          remedy: "nothing would be lost, so it is removed",
          mend: Effect.flatMap(rows.hasRepository(id), (known) =>
            known
              ? Effect.void
              : Effect.orDie(gits.get(name).removeRepository({ id, host: "", owner: "", name: "" }))
          )
        })
  })

  const withoutFiles = (row: RepositoryRow): Difference => ({
    kind: "repository",
    subject: row.id,
    sentence: `The repository ${repositoryPath(repositoryIn(row))} has a row, but git ${row.gitInstance} keeps nothing of it.`,
    remedy: "an empty one is made: push to it again",
    mend: Effect.orDie(gits.get(row.gitInstance).ensureRepository(repositoryIn(row)))
  })

  // One that can't be looked at now hides nothing of the others.
  const looks = [
    works,
    Effect.catchTag(artifacts, "BuildError", notNow),
    Effect.catchTag(buildLogs, "LogsError", notNow),
    Effect.catchTag(repositories, "GitError", notNow)
  ]
  return (yield* Effect.all(looks)).flat()
})

const notNow = ({ reason }: { readonly reason: Fault }) =>
  Effect.as(
    Effect.logWarning("A part of the home could not be compared with rows.", reason),
    [] as ReadonlyArray<Difference>
  )

const isDeployment = Schema.is(DeploymentId)

/** Whatever has another name is not ours to judge. */
const foldersOf = (folder: string) =>
  (existsSync(folder) ? readdirSync(folder) : []).filter(isDeployment).flatMap((id) => {
    const path = join(folder, id)
    const found = statSync(path, { throwIfNoEntry: false })
    return found === undefined ? [] : [{ id, path, at: found.mtimeMs }]
  })
