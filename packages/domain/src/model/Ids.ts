/** Opaque, prefixed ids. Names are for callers, ids for rows. */
import { Context, type Effect, Schema } from "effect"

const id = (prefix: string) =>
  Schema.String.pipe(Schema.check(Schema.isPattern(new RegExp(`^${prefix}_[0-9a-z]{20}$`, "u"))))

export const OwnerId = id("own").pipe(Schema.brand("OwnerId"))
export type OwnerId = typeof OwnerId.Type
export const UserId = id("usr").pipe(Schema.brand("UserId"))
export type UserId = typeof UserId.Type
export const KeyId = id("key").pipe(Schema.brand("KeyId"))
export type KeyId = typeof KeyId.Type
export const ProjectId = id("prj").pipe(Schema.brand("ProjectId"))
export type ProjectId = typeof ProjectId.Type
export const RepositoryId = id("rep").pipe(Schema.brand("RepositoryId"))
export type RepositoryId = typeof RepositoryId.Type
export const ServiceId = id("svc").pipe(Schema.brand("ServiceId"))
export type ServiceId = typeof ServiceId.Type
export const StageId = id("stg").pipe(Schema.brand("StageId"))
export type StageId = typeof StageId.Type
export const DeploymentId = id("dep").pipe(Schema.brand("DeploymentId"))
export type DeploymentId = typeof DeploymentId.Type
export const ReleaseId = id("rel").pipe(Schema.brand("ReleaseId"))
export type ReleaseId = typeof ReleaseId.Type
export const VariableId = id("var").pipe(Schema.brand("VariableId"))
export type VariableId = typeof VariableId.Type
export const TokenId = id("tok").pipe(Schema.brand("TokenId"))
export type TokenId = typeof TokenId.Type
export const ResourceId = id("res").pipe(Schema.brand("ResourceId"))
export type ResourceId = typeof ResourceId.Type

/** Chance comes in as a service, so that a test can fix it. */
export class Ids extends Context.Service<
  Ids,
  {
    /** 20 characters of base 36 after the prefix: 103 random bits. */
    readonly next: (prefix: string) => Effect.Effect<string>
    /** `length` random characters of base 62. */
    readonly secret: (length: number) => Effect.Effect<string>
  }
>()("@deploy-mcp/domain/Ids") {}
