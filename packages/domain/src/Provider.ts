/** The plugin contract: a provider is a value, and it may require only its host. */
import { type Config, Context, type Layer } from "effect"

/** What the process that runs a provider offers it. Nothing here is the environment or the store. */
export class Host extends Context.Service<
  Host,
  {
    /** Absolute directory that belongs to this provider instance alone. */
    readonly directory: string
    /** Absolute directory that sandboxed processes can be given sight of: artifacts live here. */
    readonly artifacts: string
    /** `bin` directory of the Node.js that tenants' code runs on, and its version without `v`. */
    readonly node: { readonly bin: string; readonly version: string }
  }
>()("@deploy-mcp/domain/Provider/Host") {}

export interface Provider<Id extends string, Service, Settings> {
  /** At once the folder's name, the setting's value and the heading in the docs. */
  readonly id: Id
  readonly service: Context.Key<Service, unknown>
  /** One sentence. */
  readonly summary: string
  readonly config: Config.Config<Settings>
  readonly make: (settings: Settings) => Layer.Layer<Service, never, Host>
}

export const make = <const Id extends string, Service, Shape, Settings>(provider: {
  readonly id: Id
  readonly service: Context.Key<Service, Shape>
  readonly summary: string
  readonly config: Config.Config<Settings>
  readonly make: (settings: Settings) => Layer.Layer<Service, never, Host>
}): Provider<Id, Service, Settings> => provider
