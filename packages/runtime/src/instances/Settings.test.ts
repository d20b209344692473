import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Config, ConfigProvider, Context, Effect, Layer, Redacted } from "effect"
import { Selection } from "../compositions/instances.ts"

type Environment = Readonly<Record<string, string>>

/** What strangers may have written. */
const modules = {
  "broken.mjs": "throw new Error('no such luck')",
  "syntax.mjs": "export const = 5",
  "nothing.mjs": "export const id = 5; export default { id: 'fake', service: 'dns' }",
  "package.json": "{}"
}

/** What a platform makes of a settings file, in a home of its own; null: there is no file. */
const selected = (
  toml: string | null,
  environment: Environment = {},
  given: string | null = null
) =>
  Effect.gen(function* () {
    const home = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "deploy-mcp-settings-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
    if (toml !== null) writeFileSync(join(home, "deploy-mcp.toml"), toml)
    for (const [name, text] of Object.entries(modules)) writeFileSync(join(home, name), text)
    const layer = Selection.layer(home, given === null ? null : join(home, given))
    const context = yield* Layer.build(
      layer.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(environment))))
    ).pipe(Effect.mapError(({ message }) => message.replaceAll(`${home}/`, "")))
    return Context.get(context, Selection)
  })

/** `deploy.local → process`, and with a star the default of its service. */
const summary = (selection: Effect.Success<ReturnType<typeof selected>>) => {
  const { file: _, ...choices } = selection
  return Object.entries(choices).flatMap(([service, choice]) =>
    choice.instances.map(
      ({ name, provider }) =>
        `${service}.${name} → ${provider.id}${choice.default === name ? " *" : ""}`
    )
  )
}

const builtin = [
  "git.internal → embedded *",
  "git.public → https",
  "build.local → process *",
  "deploy.local → process *",
  "ingress.local → embedded *",
  "logs.local → embedded *",
  "vault.local → local *"
]

it.effect("without a file there are the built-in instances", () =>
  Effect.gen(function* () {
    assert.deepStrictEqual(summary(yield* selected(null)), builtin)
    assert.deepStrictEqual(summary(yield* selected("# nothing yet\n")), builtin)
  })
)

it.effect("a file adds instances, chooses defaults and the build of a deploy", () =>
  Effect.gen(function* () {
    const selection = yield* selected(`
      [default]
      deploy = "second"
      [build.images]
      provider = "process"
      step_timeout = "5 minutes"
      [deploy.second]
      provider = "process"
      socket = "run/second.sock"
      build = "images"
    `)
    assert.deepStrictEqual(summary(selection), [
      "git.internal → embedded *",
      "git.public → https",
      "build.local → process *",
      "build.images → process",
      "deploy.local → process",
      "deploy.second → process *",
      "ingress.local → embedded *",
      "logs.local → embedded *",
      "vault.local → local *"
    ])
    assert.deepStrictEqual(selection.deploy.instances[1]?.own, { build: "images" })
  })
)

it.effect("a built-in instance that a table changes is still the default", () =>
  Effect.gen(function* () {
    const changed = builtin.map((line) => /^(\S+)\.(\S+) →/u.exec(line))
    const tables = changed.map((found) => `[${found?.[1]}.${found?.[2]}]`).reverse()
    assert.deepStrictEqual(summary(yield* selected(tables.join("\n"))), builtin)
  })
)

it.effect("an instance reads the environment first, then its table", () =>
  Effect.gen(function* () {
    const toml = `
      [dns.main]
      provider = "powerdns"
      url = "http://127.0.0.1:8081"
      server = "from the file"
    `
    const environment = {
      DEPLOY_MCP_DNS_MAIN_API_KEY: "from the environment",
      DEPLOY_MCP_DNS_MAIN_SERVER: "also from there"
    }
    const { dns } = yield* selected(toml, environment)
    const settings = Config.all({
      url: Config.URL("url"),
      key: Config.Redacted("api_key"),
      server: Config.String("server")
    })
    const main = dns.instances[0]
    assert(main !== undefined)
    const { url, key, server } = yield* settings.parse(main.config)
    assert.strictEqual(url.port, "8081")
    assert.strictEqual(Redacted.value(key), "from the environment")
    assert.strictEqual(server, "also from there")
  })
)

it.effect("the built-in instances keep the names that their settings have in the environment", () =>
  Effect.gen(function* () {
    const { git, deploy } = yield* selected(null, {
      DEPLOY_MCP_GIT_MAX_PUSH_BYTES: "5",
      DEPLOY_MCP_GIT_INTERNAL_MAX_SOURCE_FILES: "6",
      DEPLOY_MCP_APPS_PORT: "7",
      PATH: "/somewhere"
    })
    const read = (name: string, from: { config: ConfigProvider.ConfigProvider } | undefined) =>
      Effect.map(from?.config.load([name]) ?? Effect.undefined, (node) => node?.value)
    assert.strictEqual(yield* read("max_push_bytes", git.instances[0]), "5")
    assert.strictEqual(yield* read("max_source_files", git.instances[0]), "6")
    assert.strictEqual(yield* read("path", git.instances[0]), "/somewhere")
    assert.strictEqual(yield* read("apps_port", deploy.instances[0]), "7")
  })
)

const mistakes: ReadonlyArray<[toml: string, line: string]> = [
  ["[deploy.x]\nprovider = docker", "deploy-mcp.toml line 2: invalid value."],
  [
    '[deplyo.x]\nprovider = "a"',
    "deploy-mcp.toml: there is no service 'deplyo'; the services are git, build, deploy"
  ],
  [
    '[deploy]\nprovider = "process"',
    "deploy-mcp.toml: [deploy] holds no settings itself; write a table for each instance, e.g. [deploy.main]."
  ],
  [
    "[deploy.eu]\nsocket = 1",
    "deploy-mcp.toml: [deploy.eu] provider: is missing; it names the provider's id."
  ],
  [
    '[deploy.eu]\nprovider = "kubernetes"',
    "deploy-mcp.toml: [deploy.eu] provider: there is no provider 'kubernetes'; the providers of deploy are process"
  ],
  [
    '[deploy.Eu]\nprovider = "process"',
    "deploy-mcp.toml: [deploy.Eu]: a name has up to 31 lower-case letters, digits and dashes, and begins with a letter."
  ],
  ["[deploy.eu]\nprovider = 5", "deploy-mcp.toml: [deploy.eu] provider: must be text in quotes."],
  [
    '[dns.main]\nprovider = "powerdns"\nurl = "http://x"',
    "deploy-mcp.toml: [dns.main] api_key: is missing (expected string); set it there or as DEPLOY_MCP_DNS_MAIN_API_KEY."
  ],
  [
    '[dns.main]\nprovider = "powerdns"\nurl = "here"\napi_key = "k"',
    "deploy-mcp.toml: [dns.main] url: expected a valid URL string."
  ],
  [
    '[dns.main]\nprovider = "powerdns"\nurll = "http://x"\napi_key = "k"',
    "deploy-mcp.toml: [dns.main] urll: there is no such setting; did you mean url?"
  ],
  [
    '[build.local]\nnpm_registry = "https://me:secret@npm.example.com/"',
    "deploy-mcp.toml: [build.local] npm_registry: must hold no password: builds read it"
  ],
  [
    '[build.local]\nnetwork = "registries"\nallow_hosts = "https://npm.example.com"',
    "deploy-mcp.toml: [build.local] allow_hosts: https://npm.example.com: must be a host in lower case"
  ],
  [
    "[build.local]\ncolour = 1",
    "deploy-mcp.toml: [build.local] colour: there is no such setting; the settings are allow_hosts, ca_file, cache_limit, cpu_limit, go_proxy"
  ],
  [
    "[deploy.local]\napps_port = 9000",
    "deploy-mcp.toml: [deploy.local] apps_port: the whole platform has to agree on it; set DEPLOY_MCP_APPS_PORT instead."
  ],
  [
    '[default]\ndeploy = "eu"',
    "deploy-mcp.toml: [default] deploy: there is no instance 'eu'; the instances are local."
  ],
  [
    '[default]\nbuilds = "local"',
    "deploy-mcp.toml: [default] builds: there is no such service; the services are git, build, deploy"
  ],
  [
    '[deploy.local]\nbuild = "images"',
    "deploy-mcp.toml: [deploy.local] build: there is no instance 'images'; the instances are local."
  ],
  [
    '[dns.mine]\nmodule = "nobody-has-this"',
    "deploy-mcp.toml: [dns.mine] module: nobody-has-this: cannot be found from"
  ],
  [
    '[dns.mine]\nmodule = "./broken.mjs"',
    "deploy-mcp.toml: [dns.mine] module: ./broken.mjs: cannot be loaded (no such luck)."
  ],
  [
    '[dns.mine]\nmodule = "./syntax.mjs"',
    "deploy-mcp.toml: [dns.mine] module: ./syntax.mjs: cannot be loaded ("
  ],
  [
    '[dns.mine]\nmodule = "./nothing.mjs"',
    "deploy-mcp.toml: [dns.mine] module: ./nothing.mjs: exports no provider of dns (a value of Provider.make)."
  ],
  [
    '[dns.mine]\nmodule = "./nowhere.js"',
    "deploy-mcp.toml: [dns.mine] module: ./nowhere.js: cannot be found from"
  ]
]

it.effect.each(mistakes)("%j is refused in one line", ([toml, line]) =>
  Effect.gen(function* () {
    const message = yield* Effect.flip(selected(toml))
    assert.notInclude(message, "\n")
    assert.isTrue(message.startsWith(line), message)
  })
)

it.effect("a secret that is wrong is named and not shown", () =>
  Effect.gen(function* () {
    const environment = { DEPLOY_MCP_VAULT_KEY: "hunter2" }
    assert.strictEqual(
      yield* Effect.flip(selected(null, environment)),
      "DEPLOY_MCP_VAULT_KEY: expected 32 bytes in base64."
    )
  })
)

it.effect("a file that was named must be there", () =>
  Effect.gen(function* () {
    assert.strictEqual(
      yield* Effect.flip(selected(null, {}, "other.toml")),
      "other.toml: there is no such file; correct DEPLOY_MCP_SETTINGS."
    )
  })
)
