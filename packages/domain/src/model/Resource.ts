/** A database of an owner's, whichever provider has it. */
import { Schema } from "effect"
import { OwnerId, ResourceId } from "./Ids.ts"

export const resourceKinds = ["sqlite", "postgres", "redis", "external"] as const
export const ResourceKind = Schema.Literals(resourceKinds)
export type ResourceKind = typeof ResourceKind.Type

export const Resource = Schema.Struct({
  id: ResourceId,
  owner: OwnerId,
  /** `external`: somebody else runs it, and we only know how to reach it. */
  kind: ResourceKind
})
export type Resource = typeof Resource.Type

/** Where a resource is. Holds no credentials, so that it may be stored and shown. */
export const DatabaseRef = Schema.Struct({
  resource: ResourceId,
  kind: ResourceKind,
  /** A URL without user and password, e.g. `postgres://db.internal:5432/res_…`. */
  address: Schema.String
})
export type DatabaseRef = typeof DatabaseRef.Type
