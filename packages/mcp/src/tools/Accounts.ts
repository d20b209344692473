import { Accounts, WhoAmI } from "@deploy-mcp/domain/commands/Accounts"
import { Schema } from "effect"
import * as Tool from "../Tool.ts"

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

export const accountTools: ReadonlyArray<Tool.Tool> = [whoami]
