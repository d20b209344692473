import { Accounts, ProjectView, WhoAmI } from "@deploy-mcp/domain/commands/Accounts"
import { ProjectName } from "@deploy-mcp/domain/model/Names"
import { Effect, Schema } from "effect"
import * as Tool from "../Tool.ts"
import * as Fields from "./Fields.ts"

export const whoami = Tool.make({
  name: "whoami",
  title: "Who am I",
  toolset: "deploy",
  description:
    "Show the owner, what this key may do, the projects, the git host and the platform's limits. Call it first when you do not know the account. Changes nothing. Next: list_services, or create_repo for something new.",
  input: Schema.Struct({}),
  output: WhoAmI,
  hints: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
  scope: null,
  run: () => Accounts.use((accounts) => accounts.whoami)
})

export const listProjects = Tool.make({
  name: "list_projects",
  title: "List projects",
  toolset: "deploy",
  description: "List the projects with their numbers of services. Changes nothing.",
  input: Schema.Struct({}),
  output: Schema.Struct({ projects: Schema.Array(ProjectView) }),
  cut: { lists: [{ field: "projects", keep: "first" }], narrow: "Name the project you mean." },
  hints: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
  scope: "services:read",
  run: () =>
    Accounts.use((accounts) => accounts.listProjects).pipe(Effect.map((projects) => ({ projects })))
})

export const ensureProject = Tool.make({
  name: "ensure_project",
  title: "Ensure a project",
  toolset: "deploy",
  description:
    "Make a project, a group of services with names of its own, unless it is there. Next: give it as project to create_service.",
  input: Schema.Struct({
    name: Tool.field(
      ProjectName,
      "1 to 40 lower-case letters, digits and '-', starting with a letter, e.g. shop"
    ),
    idempotency_key: Fields.idempotencyKey
  }),
  output: Schema.Struct({ name: Schema.String, created: Schema.Boolean, next: Schema.String }),
  plans: true,
  hints: { readOnly: false, destructive: false, idempotent: true, openWorld: false },
  scope: "services:deploy",
  run: ({ name, idempotency_key }) =>
    Accounts.use((accounts) =>
      accounts.ensureProject({ name, ...Fields.keyed(idempotency_key) })
    ).pipe(
      Effect.map((made) => ({ ...made, next: `Call create_service with project ${made.name}.` }))
    )
})

export const accountTools: ReadonlyArray<Tool.Tool> = [whoami, listProjects, ensureProject]
