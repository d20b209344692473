/** What the steps of DeployService do, each safe to run twice. */

import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Failure } from "@deploy-mcp/domain/Failure"
import { ArtifactKey, type BuildPlan } from "@deploy-mcp/domain/model/Artifact"
import type { DeploymentPhase } from "@deploy-mcp/domain/model/Deployment"
import type { DeploymentId, ReleaseId } from "@deploy-mcp/domain/model/Ids"
import { redactor } from "@deploy-mcp/domain/model/LogLine"
import { repositoryPath } from "@deploy-mcp/domain/model/Service"
import { Vault } from "@deploy-mcp/domain/Vault"
import { Context, Effect, Layer, Metric, Option, Redacted } from "effect"
import { reachable } from "../commands/RollbackService.ts"
import { DeploymentEvents } from "../DeploymentEvents.ts"
import { DeploymentLog } from "../DeploymentLog.ts"
import { Builds, Gits } from "../Instances.ts"
import { Platform } from "../Platform.ts"
import { Publisher } from "../Publisher.ts"
import { type DeploymentRow, DeploymentStore } from "../store/DeploymentStore.ts"
import { EveryOwner } from "../store/Owned.ts"
import { ReleaseStore } from "../store/ReleaseStore.ts"
import { RepositoryStore, repositoryIn } from "../store/RepositoryStore.ts"
import {
  repositoryOf,
  type ServiceRow,
  ServiceStore,
  variableContext
} from "../store/ServiceStore.ts"
import { Transactions } from "../store/Transactions.ts"
import { ArtifactTurn } from "./ArtifactTurn.ts"
import { type DeploymentFailed, failed, orFailed, Retries } from "./DeploymentFailed.ts"
import { makeRoom } from "./Room.ts"

type Step<A> = Effect.Effect<A, DeploymentFailed>
type Planned = { readonly key: ArtifactKey; readonly plan: BuildPlan }

/** What a step says that finds its deployment cancelled or superseded; its row knows better. */
const ended = failed("superseded", "The deployment ended before this step.")

/** Milliseconds that the node is given to report before the deployment is given up. */
const nodePatience = 15_000

/** A plan follows from a commit and settings alone, and has some hundred bytes. */
const plansKept = 1000

const deploymentsEnded = Metric.counter("deploy_mcp_deployments_total", {
  description: "Deployments that have ended, by outcome",
  incremental: true
})
const deploymentSeconds = Metric.histogram("deploy_mcp_deployment_seconds", {
  description: "From the moment a deployment was accepted until it ended, by outcome",
  boundaries: [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 30, 60, 300]
})

const phaseSeconds = Metric.histogram("deploy_mcp_deployment_phase_seconds", {
  description: "Each phase of a deployment that has ended, by phase",
  boundaries: [0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300]
})

export class DeploySteps extends Context.Service<
  DeploySteps,
  {
    /** It uses an earlier release again. */
    readonly bringsBack: (deployment: DeploymentId) => Effect.Effect<boolean>
    /** Starts what such a deployment brings back, until it is healthy. */
    readonly bringBack: (deployment: DeploymentId) => Step<ReleaseId>
    readonly planBuild: (deployment: DeploymentId) => Step<Planned>
    readonly buildArtifact: (deployment: DeploymentId, planned: Planned) => Step<void>
    readonly recordRelease: (deployment: DeploymentId, key: ArtifactKey) => Step<ReleaseId>
    readonly discardRelease: (deployment: DeploymentId) => Effect.Effect<void>
    readonly awaitHealthy: (deployment: DeploymentId, release: ReleaseId) => Step<void>
    readonly moveRoute: (deployment: DeploymentId, release: ReleaseId) => Step<void>
    readonly recordFailure: (deployment: DeploymentId, failure: Failure) => Effect.Effect<void>
    /** Removes the files of deployments that have ended. */
    readonly cleanUpEnded: Effect.Effect<void>
  }
>()("@deploy-mcp/runtime/DeploySteps") {}

const make = Effect.gen(function* () {
  const { whole } = yield* Transactions
  const platform = yield* Platform
  const everyone = yield* EveryOwner
  const deployments = yield* DeploymentStore
  const releases = yield* ReleaseStore
  const services = yield* ServiceStore
  const repositories = yield* RepositoryStore
  const publisher = yield* Publisher
  const events = yield* DeploymentEvents
  const log = yield* DeploymentLog
  const vault = yield* Vault
  const gits = yield* Gits
  const builds = yield* Builds
  const room = yield* makeRoom
  const { alone } = yield* ArtifactTurn

  const plans = new Map<string, BuildPlan>()

  const workOf = (deployment: DeploymentId) => join(platform.home, "work", deployment)

  const byId = (id: DeploymentId) => deployments.byId(everyone, id)

  const wholeMarker = (deployment: DeploymentId) => join(workOf(deployment), "whole")

  /** Enters a phase, or refuses because the deployment has ended. */
  const enter = Effect.fnUntraced(function* (id: DeploymentId, phase: DeploymentPhase) {
    if (!(yield* deployments.enter(everyone, id, phase))) {
      return yield* ended
    }
    yield* events.publish({ kind: "changed", deployment: id })
    const deployment = yield* byId(id)
    const service = yield* services.byStage(deployment.ownerId, deployment.stageId)
    if (Option.isNone(service)) return yield* failed("cancelled", "The service was deleted.")
    return { deployment, service: service.value }
  })

  /**
   * The files of the commit, in a folder that belongs to this deployment alone. A marker says that
   * they are whole: a build takes it away before it uses them up.
   */
  const checkOut = Effect.fnUntraced(function* (deployment: DeploymentRow, service: ServiceRow) {
    const identity = repositoryOf(service)
    const repository = yield* repositories.find(deployment.ownerId, identity)
    if (Option.isNone(repository)) {
      return yield* failed(
        "repository_missing",
        `The repository ${repositoryPath(identity)} does not exist any more.`
      )
    }
    const directory = join(workOf(deployment.id), "source")
    yield* room.forBuild(deployment.ownerId)
    if (existsSync(wholeMarker(deployment.id))) return directory
    yield* Effect.sync(() => {
      rmSync(workOf(deployment.id), { recursive: true, force: true })
      mkdirSync(workOf(deployment.id), { recursive: true, mode: 0o700 })
    })
    const git = gits.get(repository.value.gitInstance)
    const source = repositoryIn(repository.value)
    yield* orFailed(git.checkout(source, deployment.commitSha, directory))
    // Whoever ends a deployment takes its folder away, also under a step that has not heard of it yet.
    const isThere = yield* Effect.sync(() => {
      const found = existsSync(directory)
      if (found) writeFileSync(wholeMarker(deployment.id), "")
      return found
    })
    return isThere ? directory : yield* ended
  })

  /** A commit that is deployed again with these settings is not even checked out. */
  const planOf = Effect.fnUntraced(function* (deployment: DeploymentRow, service: ServiceRow) {
    const name = JSON.stringify([
      service.buildInstance,
      deployment.ownerId,
      deployment.commitSha,
      service.settings
    ])
    const known = plans.get(name)
    if (known !== undefined) return known
    const directory = yield* checkOut(deployment, service)
    const plan = yield* orFailed(
      builds.get(service.buildInstance).plan(directory, service.settings)
    )
    if (plans.size >= plansKept) plans.clear()
    plans.set(name, plan)
    return plan
  })

  /** Opened only where they are used; they never leave the step. */
  const buildVariables = Effect.fnUntraced(function* (service: ServiceRow) {
    const rows = yield* services.variables(service.ownerId, service.stageId)
    const visible = rows.filter((row) => row.runtimeOnly === 0)
    const opened: Record<string, Redacted.Redacted> = {}
    for (const row of visible) {
      opened[row.name] = yield* Effect.orDie(
        vault.open(row.sealed, variableContext(service.stageId, row.name))
      )
    }
    const fingerprints = visible.map((row) => `${row.name}=${row.fingerprint}`)
    return { opened, fingerprints }
  })

  const bringsBack = (id: DeploymentId) =>
    Effect.map(byId(id), ({ sourceReleaseId }) => sourceReleaseId !== null)

  const bringBack = Effect.fnUntraced(function* (id: DeploymentId) {
    const { ownerId, releaseId, sourceReleaseId, stageId, status } = yield* byId(id)
    // A run that an older version began, whose steps had other names, may be past this.
    if (status === "committed" && releaseId !== null) return releaseId
    if (sourceReleaseId === null) return yield* ended
    const { deployment, service } = yield* enter(id, "start")
    const source = yield* releases.release(ownerId, sourceReleaseId)
    // From its row on the release keeps its artifact; until then nobody may collect it.
    const release = yield* Effect.gen(function* () {
      const artifact = yield* orFailed(builds.get(service.buildInstance).find(source.artifact.key))
      if (artifact === null) {
        const past = yield* releases.everLive(ownerId, stageId)
        const others = past.filter((one) => one.state === "retired" && one.id !== sourceReleaseId)
        return yield* failed(
          "cannot_roll_back",
          "The build of that release is not kept any more.",
          reachable(service.name, others)
        )
      }
      return yield* releases.record(deployment, artifact, source.settings, source.variables)
    }).pipe(alone)
    if (release === null) return yield* ended
    yield* publisher.publish(stageId)
    yield* log.append(id, "platform", "an earlier release is used again; nothing is built")
    yield* awaitHealthy(id, release)
    return release
  })

  const planBuild = Effect.fnUntraced(function* (id: DeploymentId) {
    const { deployment, service } = yield* enter(id, "source")
    const plan = yield* planOf(deployment, service)
    const { fingerprints } = yield* buildVariables(service)
    const inputs = [
      service.buildInstance,
      deployment.ownerId,
      deployment.commitSha,
      service.settings.root_directory ?? ".",
      plan,
      fingerprints
    ]
    const key = ArtifactKey.make(createHash("sha256").update(JSON.stringify(inputs)).digest("hex"))
    return { key, plan }
  })

  const buildArtifact = Effect.fnUntraced(function* (id: DeploymentId, { key, plan }: Planned) {
    const { deployment, service } = yield* enter(id, "build")
    const build = builds.get(service.buildInstance)
    const known = yield* Effect.gen(function* () {
      if (!(yield* deployments.claimArtifact(deployment.ownerId, id, key))) return yield* ended
      return yield* orFailed(build.find(key))
    }).pipe(alone)
    if (known === null) {
      const source = yield* checkOut(deployment, service)
      yield* Effect.sync(() => rmSync(wholeMarker(id), { force: true }))
      const { opened } = yield* buildVariables(service)
      const redact = redactor(Object.values(opened).map(Redacted.value))
      yield* orFailed(
        build.artifact({
          key,
          owner: deployment.ownerId,
          source,
          settings: service.settings,
          plan,
          variables: opened,
          log: (stream, text) => log.append(id, stream, redact(text))
        })
      )
    } else {
      yield* log.append(
        id,
        "platform",
        "nothing changed since the last build; its output is used again"
      )
    }
    yield* cleanUp(id)
  })

  const recordRelease = Effect.fnUntraced(function* (id: DeploymentId, key: ArtifactKey) {
    const { deployment, service } = yield* enter(id, "start")
    const artifact = yield* orFailed(builds.get(service.buildInstance).find(key))
    if (artifact === null) {
      return yield* failed("internal", "The build's output is gone; deploy again.")
    }
    yield* room.forArtifact(deployment.ownerId, artifact)
    const rows = yield* services.variables(service.ownerId, service.stageId)
    const variables = rows.map((row) => row.id)
    const release = yield* releases.record(deployment, artifact, service.settings, variables)
    if (release === null) return yield* ended
    yield* publisher.publish(deployment.stageId)
    return release
  })

  /** Whoever takes the row back also tells the node, even when it is interrupted in between. */
  const discardRelease = Effect.fnUntraced(function* (id: DeploymentId) {
    const stage = yield* releases.discard(everyone, id)
    if (stage !== null) yield* publisher.publish(stage)
    yield* cleanUp(id) // what was cut off between two steps has left its files
  }, Effect.uninterruptible)

  const awaitHealthy = Effect.fnUntraced(function* (id: DeploymentId, releaseId: ReleaseId) {
    const { deployment, service } = yield* enter(id, "health")
    const release = yield* releases.release(deployment.ownerId, releaseId)
    if (release.artifact.runtime.kind === "static") return
    const observed = yield* publisher
      .awaitRelease(releaseId, ({ state }) => state === "healthy" || state === "failed")
      .pipe(
        Effect.timeoutOrElse({
          duration: platform.startTimeout + nodePatience,
          orElse: () => Effect.fail(failed("unavailable", "The node did not report in time."))
        })
      )
    if (observed.state === "healthy") return
    const failure = observed.failure
    const port = failure?.code === "wrong_port" ? failure.port : null
    const corrected = port === null ? null : { name: service.name, port }
    return yield* failed(failure?.code ?? "exited", failure?.cause ?? "The process ended.", {
      evidence: failure?.evidence ?? [],
      ...(corrected === null
        ? {}
        : {
            next: `Listen on process.env.PORT, or call update_service with name ${service.name} and port ${port}.`,
            patch: corrected
          })
    })
  })

  const moveRoute = Effect.fnUntraced(function* (id: DeploymentId, release: ReleaseId) {
    const { ownerId, stageId, status } = yield* byId(id)
    const enter = status === "running" ? deployments.enter(ownerId, id, "route") : Effect.void
    const move = Effect.andThen(enter, releases.moveRoute(ownerId, id, stageId, release))
    if (!(yield* whole(move))) return yield* ended
    // Live by its row from here on. The node is waited for so that "live" means that it answers.
    yield* publisher.publish(stageId)
    yield* events.publish({ kind: "changed", deployment: id })
    yield* publisher.awaitConverged(stageId).pipe(Effect.timeoutOption(nodePatience))
    yield* deployments.settle(ownerId, id)
    yield* tellEnd(id)
  })

  const recordFailure = Effect.fnUntraced(function* (id: DeploymentId, failure: Failure) {
    yield* deployments.end(everyone, id, "failed", failure)
    yield* discardRelease(id)
    yield* collectAfter(id, failure)
    yield* tellEnd(id)
  })

  /** What was built serves a next try with other settings, unless there is no room for it. */
  const collectAfter = Effect.fnUntraced(function* (id: DeploymentId, { code }: Failure) {
    const { stageId } = yield* byId(id)
    yield* room
      .collect(stageId, platform.keptReleases, code === "quota_exceeded" ? null : id)
      .pipe(Effect.catchCause((cause) => Effect.logWarning("artifacts were not collected", cause)))
  })

  const tellEnd = Effect.fnUntraced(function* (id: DeploymentId) {
    const { stageId, status, createdAt, finishedAt } = yield* byId(id)
    const outcome = { outcome: status === "committed" ? "live" : status }
    yield* Metric.update(Metric.withAttributes(deploymentsEnded, outcome), 1)
    yield* Metric.update(
      Metric.withAttributes(deploymentSeconds, outcome),
      ((finishedAt ?? createdAt) - createdAt) / 1000
    )
    for (const { phase, startedAt, endedAt } of yield* deployments.phases(everyone, [id])) {
      if (endedAt === null) continue
      const seconds = (endedAt - startedAt) / 1000
      yield* Metric.update(Metric.withAttributes(phaseSeconds, { phase }), seconds)
    }
    yield* events.publish({ kind: "changed", deployment: id })
    yield* events.publish({ kind: "ended", stage: stageId })
  })

  const cleanUp = (id: DeploymentId) =>
    Effect.sync(() => rmSync(workOf(id), { recursive: true, force: true }))

  /** A crash between the end of a deployment and its tidying leaves a folder that nobody asks for again. */
  const cleanUpEnded = Effect.gen(function* () {
    const work = join(platform.home, "work")
    const names = existsSync(work) ? readdirSync(work) : []
    if (names.length === 0) return
    yield* Effect.forEach(yield* deployments.ended(everyone, names), cleanUp)
  })

  /**
   * An interrupted step leaves no files behind; it checks out again when it is run again. What it asks
   * a provider once more is noted.
   */
  const tidy =
    <Args extends readonly [DeploymentId, ...ReadonlyArray<unknown>], A>(
      phase: DeploymentPhase,
      step: (...args: Args) => Step<A>
    ) =>
    (...args: Args) =>
      step(...args).pipe(
        Effect.provideService(Retries, ({ code, cause }) =>
          deployments.noteRetry(everyone, args[0], phase, `${code}: ${cause}`)
        ),
        Effect.onInterrupt(() => cleanUp(args[0]))
      )

  return {
    bringsBack,
    bringBack: tidy("start", bringBack),
    planBuild: tidy("source", planBuild),
    buildArtifact: tidy("build", buildArtifact),
    recordRelease,
    discardRelease,
    awaitHealthy,
    moveRoute,
    recordFailure,
    cleanUpEnded
  }
})

export const layer = Layer.effect(DeploySteps, make)
