/** Every setting of the platform and of its providers: docs/settings.md, and a part of their pages. */
import type * as Provider from "@deploy-mcp/domain/Provider"
import * as catalog from "@deploy-mcp/providers/catalog"
import { settings as ofThePlatform } from "@deploy-mcp/runtime/Config"
import { builtins } from "@deploy-mcp/runtime/instances/Builtin"
import { environmentName } from "@deploy-mcp/runtime/instances/InstanceConfig"
import { type Setting, settingsOf } from "./Settings.ts"

type AnyProvider = Pick<Provider.Any<never>, "id" | "summary" | "config">

export interface Described {
  /** As in `[<service>.<instance>]`. */
  readonly service: string
  readonly provider: AnyProvider
  readonly folder: string
  readonly settings: ReadonlyArray<Setting>
}

export const providers: ReadonlyArray<Described> = Object.entries(catalog).flatMap(
  ([service, list]: [string, ReadonlyArray<AnyProvider>]) =>
    list.map((provider) => {
      const folder = `packages/providers/src/${service}/${provider.id}`
      const places = [folder, "packages/providers/src/edge"]
      return { service, provider, folder, settings: settingsOf(provider.config, places) }
    })
)

/** Of the control process and the command line. */
export const platform = settingsOf(ofThePlatform, ["packages/runtime/src/Config.ts"])

export const renderSettings = (): string =>
  [
    "# Settings",
    "",
    "Generated from the code: `npm run docs`.",
    "",
    "## The platform",
    "",
    "Environment variables of `npm start` and of the command line, which also reads the key to use in",
    "`DEPLOY_MCP_KEY`. A value that is wrong is named, and nothing starts.",
    "",
    ...table(platform),
    "",
    "## Providers",
    "",
    "`deploy-mcp.toml` in the home names instances of providers. Those that are there without it are marked",
    "below; a table of the same name changes them. Settings can come from the environment instead, as",
    "`DEPLOY_MCP_<SERVICE>_<INSTANCE>_<SETTING>`, which wins: a secret can stay out of the file.",
    "",
    "```toml",
    example,
    "```",
    ...providers.flatMap(section),
    ""
  ].join("\n")

/** Read by a test as the platform reads it. */
export const example = `[default]
git = "internal"

[git.internal]
max_push_bytes = 20000000

[dns.public]
provider = "embedded"
address = "203.0.113.5"
port = 53`

const section = ({ service, provider, folder, settings }: Described) => [
  "",
  `### ${service}: [${provider.id}](../${folder}/README.md)`,
  "",
  provider.summary,
  "",
  ...settingsPart(service, provider, settings)
]

/** What stands between the marks in a provider's page. */
export const settingsPart = (
  service: string,
  { id }: AnyProvider,
  settings: ReadonlyArray<Setting>
): ReadonlyArray<string> => [
  ...(settings.length === 0 ? ["None."] : table(settings)),
  ...builtins
    .filter((one) => one.service === service && one.provider === id)
    .flatMap((one) => ["", ...builtinPart(one, settings)])
]

const builtinPart = (
  { service, name, environment, fixed }: (typeof builtins)[number],
  settings: ReadonlyArray<Setting>
) => {
  const first = settings[0]?.name
  const also = settings.flatMap((setting) => {
    const variable = environment[setting.name]
    return variable === undefined ? [] : [`- \`${setting.name}\` also as \`${variable}\``]
  })
  const alone = Object.entries(fixed).map(
    ([setting, variable]) => `- \`${setting}\` as \`${variable}\` alone, for the whole platform`
  )
  const variable = first === undefined ? "" : environmentName({ service, name }, first)
  const how =
    variable === ""
      ? ""
      : `; from the environment as \`${variable}\`${settings.length === 1 ? "" : " and so on"}`
  const more = [...also, ...alone]
  return [
    `Built in as \`${service}.${name}\`${how}${more.length === 0 ? "." : ":"}`,
    ...(more.length === 0 ? [] : ["", ...more])
  ]
}

const table = (settings: ReadonlyArray<Setting>) => [
  "| setting | default | meaning |",
  "|---|---|---|",
  ...settings.map(
    ({ name, default: value, meaning }) =>
      `| \`${name}\` | ${value === null ? "needed" : value === "" ? "" : `\`${value}\``} | ${meaning} |`
  )
]
