import * as DnsConformance from "@deploy-mcp/domain/conformance/DnsConformance"
import { Host } from "@deploy-mcp/domain/Provider"
import { it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { ask, textOf } from "../Ask.ts"
import { PowerDns } from "./PowerDns.ts"
import * as Server from "./PowerDnsServer.ts"

const host = Layer.succeed(Host, { directory: "", artifacts: "", node: { bin: "", version: "" } })

const at = (choose: (server: typeof Server.PowerDnsServer.Service) => { url: URL; key: string }) =>
  Layer.unwrap(
    Server.PowerDnsServer.use((server) => {
      const { url, key } = choose(server)
      return Effect.succeed(PowerDns.make({ url, apiKey: Redacted.make(key), server: "localhost" }))
    })
  ).pipe(Layer.provide(host))

const secrets = ["a-wrong-key-that-is-a-secret-too"]
if (Server.isInstalled) {
  DnsConformance.suite(
    "powerdns",
    at(({ api, apiKey }) => ({ url: api, key: apiKey })),
    {
      world: Server.layer,
      observe: ({ name, type, transport }) =>
        Server.PowerDnsServer.use(({ dns }) =>
          Effect.map(
            ask({ server: "127.0.0.1", port: dns, name, type, transport }),
            ({ code, answers }) => ({
              code,
              values: answers.filter((answer) => answer.type === type).map(textOf)
            })
          )
        ),
      deaf: at(({ deaf, apiKey }) => ({ url: deaf, key: apiKey })),
      broken: {
        layer: at(({ api }) => ({ url: api, key: "a-wrong-key-that-is-a-secret-too" })),
        secrets
      }
    }
  )
} else {
  it.skip("powerdns is a Dns", () => {})
}
