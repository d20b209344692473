/** Arguments that make up a service, in the same words for creating and changing it. */
import { BranchName, VariableName } from "@deploy-mcp/domain/model/Names"
import { ServiceSettings } from "@deploy-mcp/domain/model/Service"
import { Redacted, Schema } from "effect"
import { field } from "../Tool.ts"

const settings = ServiceSettings.fields

/** Values are redacted before anything else sees them. */
const Variables = Schema.Record(Schema.String, Schema.RedactedFromValue(Schema.String)).pipe(
  Schema.check(
    Schema.makeFilter((variables) => {
      const names = Object.keys(variables)
      const bad = names.findIndex((name) => !isVariableName(name))
      if (bad >= 0) {
        return `name number ${bad + 1} is not valid; a name has 1 to 128 letters, digits and '_' and does not start with a digit, e.g. DATABASE_URL`
      }
      const long = names.find((name) => valueLength(variables[name]) > 32_768)
      if (long !== undefined) return `the value of ${long} is longer than 32768 characters`
      return names.length <= 200 || "at most 200 variables"
    })
  )
)
const isVariableName = Schema.is(VariableName)
const valueLength = (value: Redacted.Redacted | undefined) =>
  value === undefined ? 0 : Redacted.value(value).length

export const branch = Schema.optionalKey(
  field(BranchName, "Branch whose pushes are deployed, e.g. main (default)")
)

export const variableNames = (description: string) =>
  Schema.optionalKey(field(Schema.Array(VariableName), description))

export const variables = {
  env_vars: Schema.optionalKey(
    field(Variables, 'Variables, e.g. {"API_KEY": "…"}; stored encrypted, masked in answers')
  ),
  runtime_only: variableNames('Variables that builds do not see, e.g. ["API_KEY"]')
}

export const settingFields = {
  build_pack: Schema.optionalKey(field(settings.build_pack, "Default auto: detected")),
  port: Schema.optionalKey(field(settings.port.schema, "Its own, if it ignores PORT, e.g. 3000")),
  memory: Schema.optionalKey(field(settings.memory, "MiB, e.g. 256 (default)")),
  cpu: Schema.optionalKey(field(settings.cpu, "Cores, e.g. 0.5; default 1")),
  type: Schema.optionalKey(
    field(settings.type.schema, "Default detected; worker: no port, no URL")
  ),
  schedule: Schema.optionalKey(
    field(settings.schedule.schema, "Cron in UTC, e.g. 30 3 * * *: runs only then")
  ),
  time_limit: Schema.optionalKey(
    field(settings.time_limit.schema, "Of a scheduled run, seconds; default 3600")
  ),
  mode: Schema.optionalKey(
    field(settings.mode.schema, "on_demand sleeps when idle; default persistent")
  ),
  idle_after: Schema.optionalKey(
    field(settings.idle_after.schema, "Idle seconds before that, e.g. 900 (default)")
  ),
  install_command: Schema.optionalKey(
    field(settings.install_command.schema, "Default detected, e.g. npm ci")
  ),
  build_command: Schema.optionalKey(
    field(settings.build_command.schema, "Default detected, e.g. npm run build")
  ),
  start_command: Schema.optionalKey(
    field(settings.start_command.schema, "Default detected, e.g. node server.js")
  ),
  root_directory: Schema.optionalKey(
    field(settings.root_directory.schema, "Folder of the app in the repository, e.g. apps/web")
  ),
  health_path: Schema.optionalKey(
    field(settings.health_path.schema, "Must answer below 400 before traffic moves, e.g. /healthz")
  )
}

const again = <S extends Schema.Top>(schema: S) => Schema.optionalKey(field(schema, "New value"))

/** Whoever changes a service has read about its settings where it was made. */
export const changedFields = {
  build_pack: again(settings.build_pack),
  port: again(settings.port.schema),
  memory: again(settings.memory),
  cpu: again(settings.cpu),
  type: again(settings.type.schema),
  schedule: again(settings.schedule.schema),
  time_limit: again(settings.time_limit.schema),
  mode: again(settings.mode.schema),
  idle_after: again(settings.idle_after.schema),
  install_command: again(settings.install_command.schema),
  build_command: again(settings.build_command.schema),
  start_command: again(settings.start_command.schema),
  root_directory: again(settings.root_directory.schema),
  health_path: again(settings.health_path.schema)
}

export const given = (values: Readonly<Record<string, Redacted.Redacted>> = {}) =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => [VariableName.make(name), value])
  )
