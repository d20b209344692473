/**
 * The single way out of a step's network, which has nothing but its own loopback: a proxy of the
 * platform's listens there. The listener is opened inside by a helper before anything of the tenant
 * runs, and handed to the platform, which answers outside: neither socket nor process of it is left inside.
 */

/** Where the proxy is, inside. */
const port = 61_999

/** The helper: opens the listener and hands it over on the channel that Node.js finds by its environment. */
export const helper = `const server = require("node:net").createServer()
server.listen(${port}, "127.0.0.1", () => process.send("way", server, () => process.exit()))
`

/** Descriptor of the channel to the platform. */
export const channel = 7

/** The shell's part: `$1` is the step's line. The tenant's variables are not the helper's. */
const open = (node: string, script: string) =>
  `/usr/bin/env -i NODE_CHANNEL_FD=${channel} ${node} ${script}`
const go = `exec ${channel}>&-; exec /bin/sh -c "$1"`

/**
 * npm starts at the same time: it takes longer than the helper does until it calls anything, and
 * would try again.
 */
export const opening = (line: string, node: string, script: string): string =>
  startsWithNpm(line)
    ? `( ${open(node, script)} & ); ${go}`
    : `${open(node, script)} || exit 126; ${go}`

/** What programs have to be told; a tenant's variables do not replace these. */
export const wayVariables = (
  line: string,
  variables: Readonly<Record<string, string>>
): Record<string, string> => {
  const proxy = `http://127.0.0.1:${port}`
  const own = "localhost,127.0.0.1,::1"
  return {
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    http_proxy: proxy,
    https_proxy: proxy,
    NO_PROXY: own,
    no_proxy: own,
    YARN_HTTP_PROXY: proxy,
    YARN_HTTPS_PROXY: proxy,
    // Node.js itself, which starts slower by it; npm needs none and passes it on to scripts.
    ...(startsWithNpm(line)
      ? { npm_config_node_options: [variables.NODE_OPTIONS, "--use-env-proxy"].join(" ").trim() }
      : { NODE_USE_ENV_PROXY: "1" })
  }
}

const startsWithNpm = (line: string) => /^npm\s/u.test(line)
