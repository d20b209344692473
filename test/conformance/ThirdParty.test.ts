/** A provider from a package of its own: the kit, through the instance that the platform makes of it. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as DnsConformance from "@deploy-mcp/domain/conformance/DnsConformance"
import { Dns } from "@deploy-mcp/domain/Dns"
import { Host } from "@deploy-mcp/domain/Provider"
import { Selection } from "@deploy-mcp/runtime/compositions/instances"
import { Dnses } from "@deploy-mcp/runtime/Instances"
import { openInstances } from "@deploy-mcp/runtime/instances/OpenInstances"
import { Platform } from "@deploy-mcp/runtime/Platform"
import { Effect, Layer } from "effect"
import { install } from "../example-provider/Install.ts"
import { observe } from "../example-provider/src/ZoneReader.ts"

/** A home in which the package is installed. */
const platform = Layer.effect(
  Platform,
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "deploy-mcp-third-party-"))),
    (home) => Effect.sync(() => rmSync(home, { recursive: true, force: true }))
  ).pipe(
    Effect.tap((home) => Effect.promise(() => install(home))),
    Effect.map((home) => ({
      home,
      port: 8081,
      appsPort: 8080,
      appsDomain: "localhost",
      gitHost: "internal",
      allowedHosts: [],
      startTimeout: 60_000,
      minFreeDisk: 0,
      artifactQuota: 0,
      repositoryQuota: 0,
      keptReleases: 5,
      openPerKey: 0,
      openPerOwner: 0,
      trashRetention: 0,
      keptHistory: 0
    }))
  )
)

/** The directory that the platform gives to the instance, where a name server would read. */
const host = Layer.effect(
  Host,
  Effect.map(Platform, ({ home }) => {
    const directory = join(home, "instances", "dns.mine")
    return { directory, artifacts: directory, node: { bin: "", version: "" } }
  })
)

const provider = Layer.unwrap(
  Effect.map(Platform, ({ home }) =>
    Layer.effect(
      Dns,
      Effect.map(Dnses, (instances) => instances.get("mine"))
    ).pipe(
      Layer.provide(
        Layer.unwrap(Effect.map(Selection, ({ dns }) => openInstances(Dnses, Dns, dns)))
      ),
      Layer.provide(Selection.layer(home, null))
    )
  )
)

DnsConformance.suite("zone-file from its package", provider, {
  world: host.pipe(Layer.provideMerge(platform)),
  observe,
  unsupported: ["CAA"]
})
