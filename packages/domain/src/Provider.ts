/** The plugin contract: a provider is a value, and it may require only its host. */
import { Config, Context, Effect, Layer } from "effect"

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

/** A provider of `Service`, whatever its settings are: what a catalogue lists. */
export interface Any<Service> {
  /** At once the folder's name, the setting's value and the heading in the docs. */
  readonly id: string
  readonly service: Context.Key<Service, unknown>
  /** One sentence. */
  readonly summary: string
  /** Settings by their names in the instance's table, in lower snake_case: `socket`, `api_key`. */
  readonly config: Config.Config<unknown>
  /** The provider with the settings that its surroundings give it. */
  readonly layer: Layer.Layer<Service, Config.ConfigError, Host>
}

export interface Provider<Id extends string, Service, Settings> extends Any<Service> {
  readonly id: Id
  readonly config: Config.Config<Settings>
  readonly make: (settings: Settings) => Layer.Layer<Service, never, Host>
}

export const make = <const Id extends string, Service, Shape, Settings>(provider: {
  readonly id: Id
  readonly service: Context.Key<Service, Shape>
  readonly summary: string
  readonly config: Config.Config<Settings>
  readonly make: (settings: Settings) => Layer.Layer<Service, never, Host>
}): Provider<Id, Service, Settings> => ({
  ...provider,
  layer: Layer.unwrap(Effect.map(provider.config, provider.make))
})

/** Whether a value, e.g. what a module exports, is a provider of `service`. */
export const isProviderOf = <Service>(
  service: Context.Key<Service, unknown>,
  value: unknown
): value is Any<Service> =>
  typeof value === "object" &&
  value !== null &&
  "id" in value &&
  typeof value.id === "string" &&
  "service" in value &&
  // A module may bring a copy of this contract; its keys are the same, its classes are not.
  Context.isKey(value.service) &&
  value.service.key === service.key &&
  "config" in value &&
  Config.isConfig(value.config) &&
  "layer" in value &&
  Layer.isLayer(value.layer)
