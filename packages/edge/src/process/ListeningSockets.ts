/** Which ports a process really listens on, as the kernel's own tables say. */
import { readFile } from "node:fs/promises"
import { type ListeningSocket, parseSocketTable } from "@deploy-mcp/domain/node/SocketTable"
import { socketInodes } from "./ProcessTree.ts"

/**
 * Listening TCP sockets of a process. In a network of its own that is all there are; in the host's
 * network only those whose inode the process tree holds.
 */
export const listeningSockets = async (
  pid: number,
  ownNetwork: boolean
): Promise<ReadonlyArray<ListeningSocket>> => {
  const tables = await Promise.all(
    (["tcp", "tcp6"] as const).map((table) =>
      readFile(`/proc/${pid}/net/${table}`, "utf8").catch(() => "")
    )
  )
  const sockets = tables.flatMap(parseSocketTable)
  if (ownNetwork) return sockets
  const inodes = await socketInodes(pid)
  return sockets.filter((socket) => inodes.has(socket.inode))
}
