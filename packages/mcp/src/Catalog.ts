/** Every tool, in the order that callers see. The order is kept stable because clients cache it. */
import type { PrincipalData } from "@deploy-mcp/domain/model/Principal"
import type { Tool, Toolset } from "./Tool.ts"
import { accountTools } from "./tools/Accounts.ts"
import { deploymentTools } from "./tools/Deployments.ts"
import { fileTools } from "./tools/Files.ts"
import { keyTools } from "./tools/Keys.ts"
import { logTools } from "./tools/Logs.ts"
import { repositoryTools } from "./tools/Repositories.ts"
import { serviceTools } from "./tools/Services.ts"
import { undoTools } from "./tools/Undo.ts"

export const allTools: ReadonlyArray<Tool> = [
  ...accountTools,
  ...repositoryTools,
  ...serviceTools,
  ...fileTools,
  ...undoTools,
  ...deploymentTools,
  ...logTools,
  ...keyTools
]

export const findTool = (name: string, toolsets: ReadonlyArray<Toolset>): Tool | undefined =>
  allTools.find((tool) => tool.name === name && toolsets.includes(tool.toolset))

/** What this principal is shown: a function of the key alone, never of a connection. */
export const toolsFor = (
  principal: PrincipalData,
  toolsets: ReadonlyArray<Toolset>
): ReadonlyArray<Tool> =>
  allTools.filter(
    (tool) =>
      toolsets.includes(tool.toolset) &&
      (tool.scope === null || principal.scopes.includes(tool.scope))
  )
