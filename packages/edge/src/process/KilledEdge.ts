/** For tests: an edge that is killed while it runs services. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import type { SandboxChoice } from "@deploy-mcp/domain/node/SandboxChoice"
import { allProcesses } from "./ProcessTree.ts"
import { eventually } from "./TestEdge.ts"

/** Resolves when it is dead, with the processes that it had: some may still be there. */
export const killedEdge = async (
  home: string,
  homeId: string,
  sandbox: SandboxChoice,
  without: ReadonlyArray<string> = []
): Promise<ReadonlyArray<number>> => {
  const source = new URL("./DoomedEdge.ts", import.meta.url).pathname
  const edge = spawn(process.execPath, [source, home, homeId, sandbox, ...without], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  let told = ""
  edge.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    told += chunk
  })
  const pids = await eventually(async () => {
    const found = /ready (\d+) (.*)\n/.exec(told)
    return found?.slice(1).flatMap((list) => list.split(" ").map(Number)) ?? null
  })
  const gone = once(edge, "exit")
  edge.kill("SIGKILL")
  await gone
  return pids
}

export const livingOf = async (pids: ReadonlyArray<number>): Promise<ReadonlyArray<number>> =>
  (await allProcesses())
    .filter(({ pid, state }) => pids.includes(pid) && state !== "Z")
    .map(({ pid }) => pid)
