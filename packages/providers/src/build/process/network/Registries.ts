/** Where packages come from: what builds may call when they may call nothing else. */

const usual = [
  "registry.npmjs.org",
  "registry.yarnpkg.com",
  "pypi.org",
  "files.pythonhosted.org",
  "proxy.golang.org",
  "sum.golang.org",
  "index.crates.io",
  "static.crates.io"
]

/** `host:port` of the usual registries, of the operator's own by their addresses, and of other hosts. */
export const registriesOf = (
  addresses: ReadonlyArray<string | null>,
  hosts: ReadonlyArray<string>
): ReadonlySet<string> =>
  new Set([
    ...usual.map((host) => `${host}:443`),
    ...addresses.flatMap(placeOf),
    ...hosts.map((host) => (/:\d+$/u.test(host) ? host : `${host}:443`))
  ])

/** What cannot be used of a list of hosts; null: all can be. */
export const problemOfHosts = (hosts: ReadonlyArray<string>): string | null => {
  const bad = hosts.find((host) => !/^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/u.test(host))
  return bad === undefined
    ? null
    : `${bad}: must be a host in lower case, with a port unless it is 443, as in npm.example.com or 10.0.0.5:4873`
}

/** `direct` and `off` of Go's list have none. */
const placeOf = (address: string | null): ReadonlyArray<string> => {
  if (address === null || !URL.canParse(address)) return []
  const { hostname, port, protocol } = new URL(address)
  return [`${hostname}:${port || (protocol === "http:" ? "80" : "443")}`]
}
