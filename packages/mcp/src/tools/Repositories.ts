import {
  GitTokenView,
  Repositories,
  RepositoryView
} from "@deploy-mcp/domain/commands/Repositories"
import { RepositoryName, RepositoryRef } from "@deploy-mcp/domain/model/Names"
import { requireScope } from "@deploy-mcp/domain/model/Principal"
import { Effect, Schema } from "effect"
import * as Tool from "../Tool.ts"
import * as Fields from "./Fields.ts"

export const createRepo = Tool.make({
  name: "create_repo",
  title: "Create a repository",
  toolset: "deploy",
  description:
    "Create an empty git repository on the platform. Call it once for each new project, before you push. A repository of that name that is there already is returned with created: false. Takes under a second. Next: get_git_token, git push, create_service.",
  input: Schema.Struct({
    name: Tool.field(
      RepositoryName,
      "Lower-case letters, digits, '.', '_' and '-', at most 64 characters, e.g. my-saas"
    ),
    host: Fields.host,
    description: Schema.optionalKey(
      Tool.field(
        Schema.String.pipe(Schema.check(Schema.isMaxLength(500))),
        "One line for people, e.g. Shop front end"
      )
    )
  }),
  output: RepositoryView,
  hints: { readOnly: false, destructive: false, idempotent: true, openWorld: false },
  scope: "repositories:write",
  run: (input) => Repositories.use((repositories) => repositories.create(input))
})

export const getGitToken = Tool.make({
  name: "get_git_token",
  title: "Get a git token",
  toolset: "deploy",
  description:
    "Mint a temporary credential for one repository, with git commands that are ready to run. Call it before git push or git clone; mint a new one after expires_at. The answer holds a secret: use it in the commands, do not repeat it, commit it or put it in a file. Next: run the commands; a push deploys every service that follows the branch.",
  input: Schema.Struct({
    name: Tool.field(RepositoryRef, "Repository, e.g. my-saas or awake-dassie/my-saas"),
    host: Fields.host,
    access: Schema.optionalKey(
      Tool.field(
        Schema.Literals(["read", "write"]),
        "write (default) to push, read to clone and fetch only"
      )
    )
  }),
  output: GitTokenView,
  hints: { readOnly: false, destructive: false, idempotent: false, openWorld: false },
  scope: "repositories:read",
  run: ({ access = "write", ...input }) =>
    (access === "write" ? requireScope("repositories:write") : Effect.void).pipe(
      Effect.andThen(Repositories.use((repositories) => repositories.token({ ...input, access })))
    )
})

export const repositoryTools: ReadonlyArray<Tool.Tool> = [createRepo, getGitToken]
