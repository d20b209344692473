/** The whole of a service's sandbox, as bwrap reads it from a descriptor: nobody sees it in a list of processes. */
import { environmentOf } from "./Environment.ts"
import type { LaunchRequest } from "./Launch.ts"
import { type SandboxContents, sandboxArguments } from "./Sandbox.ts"
import { serviceHome } from "./SlotFiles.ts"

/** `sources` say where on the host the directories are that the service sees. */
export const serviceSandbox = async (
  request: LaunchRequest,
  port: number | null,
  path: ReadonlyArray<string>,
  sources: Pick<SandboxContents, "app" | "etc" | "toolchain" | "filter">
): Promise<string> => {
  const { variables, workload } = request
  const places = { port, home: serviceHome, temporary: "/tmp", path, variables }
  const args = await sandboxArguments({
    ...sources,
    home: serviceHome,
    memory: workload.memory,
    variables: { ...environmentOf(places), DEPLOY_MCP_START: workload.start }
  })
  return args.map((arg) => `${arg}\0`).join("")
}
