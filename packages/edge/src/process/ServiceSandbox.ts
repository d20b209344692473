/** The whole of a service's sandbox, as bwrap reads it from a descriptor: nobody sees it in a list of processes. */
import { environmentOf } from "./Environment.ts"
import { type Gvisor, gvisorArguments, gvisorCommand, specOf } from "./gvisor/Gvisor.ts"
import type { LaunchRequest } from "./Launch.ts"
import { type SandboxSources, sandboxArguments } from "./Sandbox.ts"
import { serviceHome } from "./SlotFiles.ts"
import { insideSandbox } from "./SlotScript.ts"

/** In the host's kernel behind a filter of calls, or in gVisor. Descriptors are those of bwrap. */
export type Fence =
  | { readonly kernel: "host"; readonly filter: number | null }
  | {
      readonly kernel: "gvisor"
      /** Path of `runsc`. */
      readonly program: string
      readonly spec: number
    }

export interface ServiceSandbox {
  readonly args: string
  /** What gVisor is to read at its descriptor. */
  readonly spec: string | null
}

/** What bwrap runs. */
export const insideCommand = (gvisor: Gvisor | null): ReadonlyArray<string> =>
  gvisor ? gvisorCommand(gvisor.platform) : ["/bin/sh", "-c", insideSandbox]

export const serviceSandbox = async (
  request: LaunchRequest,
  port: number | null,
  path: ReadonlyArray<string>,
  sources: SandboxSources,
  fence: Fence
): Promise<ServiceSandbox> => {
  const { variables, workload } = request
  const places = { port, home: serviceHome, temporary: "/tmp", path, variables }
  const contents = {
    ...sources,
    home: serviceHome,
    memory: workload.memory,
    variables: { ...environmentOf(places), DEPLOY_MCP_START: workload.start }
  }
  const args =
    fence.kernel === "host"
      ? await sandboxArguments(contents, fence.filter)
      : await gvisorArguments(contents, fence.program, fence.spec)
  return {
    args: args.map((arg) => `${arg}\0`).join(""),
    spec: fence.kernel === "host" ? null : specOf(contents)
  }
}
