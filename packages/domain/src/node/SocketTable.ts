/** Which ports are listened on, as `/proc/<pid>/net/tcp` and `tcp6` say (Linux, proc_net_tcp). */

export interface ListeningSocket {
  readonly port: number
  /** Reachable only from inside of its network. */
  readonly loopback: boolean
  readonly family: 4 | 6
  readonly inode: string
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
