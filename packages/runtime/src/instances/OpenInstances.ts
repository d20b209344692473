/** From what was chosen to what is used: each instance is opened once, with a directory of its own. */
import { mkdirSync } from "node:fs"
import { dirname, join } from "node:path"
import { Host } from "@deploy-mcp/domain/Provider"
import { ConfigProvider, Context, Effect, Layer } from "effect"
import { type Instances, make } from "../Instances.ts"
import { Platform } from "../Platform.ts"
import type { Choice, Chosen } from "./Choice.ts"

/** The registry of a service; its instances live as long as it. */
export const openInstances = <Registry, Service, Shape>(
  registry: Context.Key<Registry, Instances<Shape>>,
  service: Context.Key<Service, Shape>,
  choice: Choice<Service>
) =>
  Layer.effect(
    registry,
    Effect.gen(function* () {
      const all = new Map<string, Shape>()
      for (const chosen of choice.instances) {
        all.set(chosen.name, Context.get(yield* Layer.build(layerOf(chosen)), service))
      }
      const own = new Map(choice.instances.map((chosen) => [chosen.name, chosen.own]))
      return make(all, choice.default, (name) => own.get(name) ?? {})
    })
  )

/** The default instance alone, for a service of which the platform uses one. */
export const openDefault = <Service, Shape>(
  service: Context.Key<Service, Shape>,
  choice: Choice<Service>
) =>
  Layer.effect(
    service,
    Effect.gen(function* () {
      const chosen = choice.instances.find(({ name }) => name === choice.default)
      if (chosen === undefined) return yield* Effect.die(new Error(`no instance of ${service.key}`))
      return Context.get(yield* Layer.build(layerOf(chosen)), service)
    })
  )

/** Two instances of one provider share nothing, although they share its layer. */
const layerOf = <Service>({ provider, config, folder }: Chosen<Service>) =>
  Layer.fresh(provider.layer).pipe(
    Layer.provide(Layer.merge(hostIn(folder), ConfigProvider.layer(config))),
    Layer.orDie
  )

const hostIn = (folder: string) =>
  Layer.effect(
    Host,
    Effect.map(Platform, ({ home }) => {
      const directory = join(home, folder)
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      return {
        directory,
        artifacts: join(home, "artifacts"),
        node: { bin: dirname(process.execPath), version: process.versions.node }
      }
    })
  )
