/** Changing a service and going back. */
import { Deployments } from "@deploy-mcp/domain/commands/Deployments"
import { Services } from "@deploy-mcp/domain/commands/Services"
import { DeploymentView, ServiceView } from "@deploy-mcp/domain/commands/Views"
import { HostLabel } from "@deploy-mcp/domain/model/Names"
import { settingNames } from "@deploy-mcp/domain/model/Service"
import { Effect, Schema } from "effect"
import * as Tool from "../Tool.ts"
import { DeploymentRef, numberOf } from "./Deployments.ts"
import * as Fields from "./Fields.ts"
import * as Settings from "./Settings.ts"

/** Without the list of them, which the arguments beside it are. */
const SettingName = Schema.String.pipe(
  Schema.refine(Schema.is(Schema.Literals(settingNames)), {
    message: `one of ${settingNames.join(", ")}`
  })
)

export const updateService = Tool.make({
  name: "update_service",
  title: "Change a service",
  toolset: "deploy",
  description:
    "Change settings or variables of a service: only what you name, all else stays. Deploys the change at once; builds again only if the build can see it. Next: wait_for_deployment.",
  input: Schema.Struct({
    name: Fields.name,
    project: Fields.project,
    branch: Settings.branch,
    ...Settings.variables,
    remove_env_vars: Settings.variableNames('Variables to remove, e.g. ["OLD"]'),
    ...Settings.changedFields,
    reset: Schema.optionalKey(
      Tool.field(Schema.Array(SettingName), 'Settings back to default or detected, e.g. ["port"]')
    ),
    expected_revision: Schema.optionalKey(
      Tool.field(Schema.Int, "Refuse if get_service shows another revision by now, e.g. 3")
    ),
    idempotency_key: Fields.idempotencyKey
  }),
  output: Schema.Struct({
    changed: Schema.Array(Schema.String),
    rebuild: Schema.Boolean,
    revision: Schema.Int,
    service: ServiceView,
    next: Schema.String
  }),
  plans: true,
  hints: { readOnly: false, destructive: false, idempotent: true, openWorld: false },
  scope: "services:deploy",
  run: ({
    name,
    project,
    branch,
    env_vars,
    runtime_only,
    remove_env_vars,
    reset,
    expected_revision,
    idempotency_key,
    ...settings
  }) =>
    Services.use((services) =>
      services.update({
        name,
        settings,
        variables: Settings.given(env_vars),
        ...(project === undefined ? {} : { project }),
        ...(branch === undefined ? {} : { branch }),
        ...(runtime_only === undefined ? {} : { runtimeOnly: runtime_only }),
        ...(remove_env_vars === undefined ? {} : { removeVariables: remove_env_vars }),
        ...(reset === undefined ? {} : { reset }),
        ...(expected_revision === undefined ? {} : { expectedRevision: expected_revision }),
        ...Fields.keyed(idempotency_key)
      })
    ).pipe(Effect.map((updated) => ({ ...updated, next: updated.service.next })))
})

export const rollbackService = Tool.make({
  name: "rollback_service",
  title: "Roll back a service",
  toolset: "deploy",
  description:
    "Make an earlier release live again, with its settings and variables, without a build. Takes under a second. A later push deploys as always. Next: wait_for_deployment.",
  input: Schema.Struct({
    name: Fields.name,
    project: Fields.project,
    to: Schema.optionalKey(
      Tool.field(DeploymentRef, "Deployment, e.g. my-saas#3 or 3; default: what was live before")
    ),
    idempotency_key: Fields.idempotencyKey
  }),
  output: DeploymentView,
  plans: true,
  hints: { readOnly: false, destructive: false, idempotent: false, openWorld: false },
  scope: "services:deploy",
  run: ({ to, idempotency_key, ...service }) =>
    Effect.gen(function* () {
      const { number } = yield* numberOf(to, service.name)
      const services = yield* Services
      return yield* services.rollback({
        ...service,
        ...(number === undefined ? {} : { to: number }),
        ...Fields.keyed(idempotency_key)
      })
    })
})

export const cancelDeployment = Tool.make({
  name: "cancel_deployment",
  title: "Cancel a deployment",
  toolset: "deploy",
  description:
    "Stop a deployment that is not live yet; the release before keeps serving. One that is live already fails with too_late: use rollback_service.",
  input: Schema.Struct({
    name: Fields.name,
    project: Fields.project,
    deployment: Schema.optionalKey(
      Tool.field(DeploymentRef, "Which one, e.g. my-saas#3 or 3; default the newest")
    ),
    idempotency_key: Fields.idempotencyKey
  }),
  output: DeploymentView,
  plans: true,
  hints: { readOnly: false, destructive: true, idempotent: true, openWorld: false },
  scope: "services:deploy",
  run: ({ deployment, idempotency_key, ...service }) =>
    Effect.gen(function* () {
      const number = yield* numberOf(deployment, service.name)
      const deployments = yield* Deployments
      return yield* deployments.cancel({
        ...service,
        ...number,
        ...Fields.keyed(idempotency_key)
      })
    })
})

export const restoreService = Tool.make({
  name: "restore_service",
  title: "Restore a service",
  toolset: "deploy",
  description:
    "Bring a deleted service back with its variables, hostname and last live release. list_services with trashed true shows which can be. Next: wait_for_deployment.",
  input: Schema.Struct({
    name: Fields.name,
    project: Fields.project,
    hostname: Schema.optionalKey(
      Tool.field(HostLabel, "Only when the old one is taken by now, e.g. my-saas-2")
    ),
    idempotency_key: Fields.idempotencyKey
  }),
  output: Schema.Struct({ restored: Schema.Boolean, service: ServiceView, next: Schema.String }),
  plans: true,
  hints: { readOnly: false, destructive: false, idempotent: true, openWorld: false },
  scope: "services:deploy",
  run: ({ idempotency_key, ...input }) =>
    Services.use((services) =>
      services.restore({ ...input, ...Fields.keyed(idempotency_key) })
    ).pipe(Effect.map((made) => ({ ...made, next: made.service.next })))
})

export const undoTools: ReadonlyArray<Tool.Tool> = [
  updateService,
  rollbackService,
  cancelDeployment,
  restoreService
]
