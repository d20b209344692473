/**
 * What a build may call. A host that the operator named, and the usual registries, are trusted by their
 * name, wherever this machine's resolver says that they are: mirrors live in private networks. All
 * others are judged by every address that they have, and only a judged address is connected to.
 */
import { lookup, Resolver } from "node:dns/promises"
import { isIP } from "node:net"
import { networkInterfaces } from "node:os"
import { mayCall } from "@deploy-mcp/domain/node/MayCall"

/** `public`: the public internet; `registries`: those that are named alone. */
export type Network = "public" | "registries" | "none"

export interface Reach {
  readonly network: Network
  /** `host:port`, in lower case: what may be called wherever it is. */
  readonly named: ReadonlySet<string>
}

/** The addresses to connect to, or why there are none. */
export type Verdict =
  | { readonly addresses: ReadonlyArray<Address> }
  | { readonly refused: string }
  | { readonly unknown: string }

export interface Address {
  readonly address: string
  readonly family: number
}

export type Judge = (host: string, port: number) => Promise<Verdict>

/** `resolve`: for names that are not trusted. */
export const makeJudge =
  ({ network, named }: Reach, resolve = resolveStrange): Judge =>
  async (asked, port) => {
    const host = asked.toLowerCase().replace(/\.$/u, "")
    const place = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`
    const trusted = named.has(place)
    if (!trusted && network !== "public") {
      return { refused: `${place} is not one of the registries that builds may call` }
    }
    const found = await addressesOf(host, trusted ? resolveTrusted : resolve)
    if (found.length === 0) return { unknown: `${place} has no address` }
    if (trusted) return { addresses: found }
    const own = ownAddresses()
    const addresses = found.filter(({ address }) => mayCall(anywhere, address, port, own))
    return addresses.length > 0
      ? { addresses }
      : { refused: `${place} is not on the public internet` }
  }

const anywhere = { reach: "public", allow: [] } as const

const addressesOf = async (host: string, resolve: typeof resolveTrusted) => {
  const family = isIP(host)
  if (family !== 0) return [{ address: host, family }]
  return hostname.test(host) ? resolve(host) : []
}

const hostname = /^(?=.{1,253}$)[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/u

const resolveTrusted = (host: string): Promise<ReadonlyArray<Address>> =>
  lookup(host, { all: true }).catch(() => [])

/** Without the threads that `lookup` takes, of which a build could keep all busy. */
const resolveStrange = async (host: string): Promise<ReadonlyArray<Address>> => {
  const resolver = new Resolver({ timeout: 3000, tries: 2 })
  const [four, six] = await Promise.all([
    resolver.resolve4(host).catch(() => []),
    resolver.resolve6(host).catch(() => [])
  ])
  return [
    ...four.map((address) => ({ address, family: 4 })),
    ...six.map((address) => ({ address, family: 6 }))
  ]
}

const ownAddresses = (): ReadonlyArray<string> =>
  Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address))
