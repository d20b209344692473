/** Which ports a process really listens on, as the kernel's own tables say. */
import { readFile } from "node:fs/promises"
import { socketInodes } from "./ProcessTree.ts"

export interface ListeningSocket {
  readonly port: number
  /** Reachable only from inside of its network. */
  readonly loopback: boolean
  readonly family: 4 | 6
  readonly inode: string
}

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

const listening = "0A"

export const parseSocketTable = (table: string): ReadonlyArray<ListeningSocket> =>
  table
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/)
      const [address = "", port = ""] = fields[1]?.split(":") ?? []
      if (fields[3] !== listening) return []
      return [
        {
          port: Number.parseInt(port, 16),
          loopback: isLoopback(address),
          family: address.length === 8 ? 4 : 6,
          inode: fields[9] ?? ""
        } as const
      ]
    })

/** Addresses stand there as 32-bit words in the machine's byte order. */
const isLoopback = (address: string): boolean =>
  address.length === 8
    ? address.endsWith("7F")
    : address === "00000000000000000000000001000000" || /^0{16}FFFF0000.{6}7F$/.test(address)
