/**
 * Room on the disk and within an owner's quota: asked for before anything is built, and made by
 * removing artifacts that nothing needs.
 */
import type { Artifact } from "@deploy-mcp/domain/model/Artifact"
import type { DeploymentId, OwnerId, StageId } from "@deploy-mcp/domain/model/Ids"
import { Effect } from "effect"
import { diskOf } from "../DiskOf.ts"
import { Builds } from "../Instances.ts"
import { Platform } from "../Platform.ts"
import { EveryOwner } from "../store/Owned.ts"
import { ReleaseStore } from "../store/ReleaseStore.ts"
import { UsageStore } from "../store/UsageStore.ts"
import { ArtifactTurn } from "./ArtifactTurn.ts"
import { failed } from "./DeploymentFailed.ts"

export const makeRoom = Effect.gen(function* () {
  const { artifactQuota, home, keptReleases, minFreeDisk } = yield* Platform
  const everyone = yield* EveryOwner
  const releases = yield* ReleaseStore
  const usage = yield* UsageStore
  const builds = yield* Builds
  const { alone } = yield* ArtifactTurn

  /**
   * Removes the artifacts of all but the newest `keep` releases before a stage's live one, and of
   * deployments that came to nothing, but for the one that is `spared`.
   */
  const collect = Effect.fnUntraced(function* (
    stage: StageId,
    keep: number = keptReleases,
    spared: DeploymentId | null = null
  ) {
    const build = builds.get((yield* releases.stage(everyone, stage)).buildInstance)
    const { abandoned, collected, unused } = yield* releases.collectable(
      everyone,
      stage,
      keep,
      spared
    )
    yield* Effect.forEach(unused, (key) => build.remove(key), { discard: true })
    yield* releases.markCollected(everyone, collected)
    yield* releases.forgetArtifacts(everyone, abandoned)
  }, alone)

  /** What is in the trash keeps its last live release and, when room is short, no older ones. */
  const prune = Effect.fnUntraced(function* (owner: OwnerId) {
    for (const { id, trashedAt } of yield* usage.prunable(owner)) {
      yield* Effect.ignoreCause(collect(id, trashedAt === null ? keptReleases : 1))
    }
  })

  /** `output`: bytes of what has been built; null: something is going to be. */
  const withinQuota = Effect.fnUntraced(function* (owner: OwnerId, output: number | null) {
    if (artifactQuota === 0) return
    const fits = Effect.map(usage.artifacts(owner), (used) => used + (output ?? 1) <= artifactQuota)
    if (yield* fits) return
    yield* prune(owner)
    if (yield* fits) return
    const has = mebibytes(yield* usage.artifacts(owner))
    const use = `the owner's artifacts have ${has} of the ${mebibytes(artifactQuota)} that they may have`
    return yield* failed(
      "quota_exceeded",
      output === null
        ? `Nothing is built, because ${use}.`
        : `The output has ${mebibytes(output)}, and ${use}.`
    )
  })

  return {
    collect,

    /** Only what is built anew needs room worth mentioning. */
    forBuild: Effect.fnUntraced(function* (owner: OwnerId) {
      yield* withinQuota(owner, null)
      if (minFreeDisk <= 0) return
      const { free } = yield* diskOf(home)
      if (free >= minFreeDisk) return
      return yield* failed(
        "disk_full",
        `The disk has ${mebibytes(free)} free; below ${mebibytes(minFreeDisk)} nothing is built.`
      )
    }),

    /** What is kept already may be used again, whatever the quota has become. */
    forArtifact: Effect.fnUntraced(function* (owner: OwnerId, { bytes, key }: Artifact) {
      if (artifactQuota === 0 || (yield* usage.counts(owner, key))) return
      yield* withinQuota(owner, bytes)
    })
  }
})

const mebibytes = (bytes: number) => `${Math.floor(bytes / 1024 ** 2)} MiB`
