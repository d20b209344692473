/**
 * Artifacts that are images, kept by the engine. One has a name made of its key, which it gets last:
 * what has no name was cut short. What else there is to know is in its labels.
 */
import type { BuildError } from "@deploy-mcp/domain/Build"
import { type Artifact, ArtifactKey, ImageRuntime } from "@deploy-mcp/domain/model/Artifact"
import type { Kept } from "@deploy-mcp/domain/model/Kept"
import { Effect, Option, Schema, Struct } from "effect"
import { rejected, unavailable } from "../BuildFault.ts"
import { type Work, worksOn } from "../Workplaces.ts"
import type { DockerApi, Image } from "./DockerApi.ts"

const repository = "deploy-mcp/artifact"
const nameOf = (key: ArtifactKey) => `${repository}:${key}`

const keyLabel = "deploy-mcp.artifact"
const runtimeLabel = "deploy-mcp.runtime"
/** An engine may serve several platforms: what another one made is none of ours. */
const homeLabel = "deploy-mcp.home"
const workLabel = "deploy-mcp.work"

/** How it is started, as far as the image does not say it. */
const Runtime = Schema.fromJsonString(
  Schema.Struct(Struct.pick(ImageRuntime.fields, ["start", "listens", "workers"]))
)
type Runtime = typeof Runtime.Type

/** `name=value`, for the image that `work` is about to make. They win over the Dockerfile's own. */
export const labelsOf = (
  key: ArtifactKey,
  runtime: Runtime,
  work: Work,
  home: string
): ReadonlyArray<string> => [
  `${keyLabel}=${key}`,
  `${homeLabel}=${home}`,
  `${runtimeLabel}=${Schema.encodeSync(Runtime)(runtime)}`,
  `${workLabel}=${work.name}`
]

export const findImage = (
  api: DockerApi,
  key: ArtifactKey
): Effect.Effect<Artifact | null, BuildError> =>
  api
    .image(nameOf(key))
    .pipe(Effect.map((image) => (image === null ? null : artifactOf(key, image))))

const artifactOf = (key: ArtifactKey, image: Image): Artifact | null => {
  const labels = image.Config.Labels ?? {}
  const runtime = Option.getOrNull(Schema.decodeOption(Runtime)(labels[runtimeLabel] ?? ""))
  if (labels[keyLabel] !== key || runtime === null) return null
  return {
    key,
    directory: "",
    runtime: { kind: "image", image: image.Id, ...runtime },
    bytes: image.Size
  }
}

/** Gives a finished image its name. One that has it already is as good and stays. */
export const keepImage = (
  api: DockerApi,
  key: ArtifactKey,
  id: string,
  limit: number
): Effect.Effect<Artifact, BuildError> =>
  Effect.gen(function* () {
    const image = yield* api.image(id)
    if (image === null) return yield* unavailable("Docker has lost the image that was built.")
    if (image.Size > limit) {
      const mebibytes = Math.floor(limit / 1024 / 1024)
      return yield* rejected(
        "output_too_large",
        `The build output is larger than ${mebibytes} MiB.`
      )
    }
    const there = yield* findImage(api, key)
    if (there !== null) return there
    yield* api.tag(id, repository, key)
    const artifact = artifactOf(key, image)
    return artifact ?? (yield* unavailable("Docker has lost the labels of the image."))
  })

/** Those that builds of this home have named. */
export const keptImages = (
  api: DockerApi,
  home: string
): Effect.Effect<ReadonlyArray<Kept<ArtifactKey>>, BuildError> =>
  api.labelled(`${homeLabel}=${home}`).pipe(
    Effect.map((images) =>
      images.flatMap(({ Created, Labels, RepoTags }) => {
        const key = Option.getOrNull(Schema.decodeOption(ArtifactKey)(Labels?.[keyLabel] ?? ""))
        const isNamed = key !== null && RepoTags?.includes(nameOf(key))
        return isNamed ? [{ id: key, at: Created * 1000 }] : []
      })
    )
  )

/** Succeeds also when there is none. */
export const removeImage = (api: DockerApi, key: ArtifactKey): Effect.Effect<void, BuildError> =>
  api.removeNamed(nameOf(key))

/** Removes what `work` has made and nobody named. */
export const dropUnnamed = (api: DockerApi, work: Work): Effect.Effect<void, BuildError> =>
  Effect.gen(function* () {
    for (const { Id } of yield* api.unnamed(`${workLabel}=${work.name}`))
      yield* api.removeUnused(Id)
  })

/** The same for all that belongs to processes that are gone. */
export const sweepUnnamed = (api: DockerApi): Effect.Effect<void, BuildError> =>
  Effect.gen(function* () {
    for (const { Id, Labels } of yield* api.unnamed(workLabel)) {
      if (!worksOn(Labels?.[workLabel] ?? "")) yield* api.removeUnused(Id)
    }
  })
