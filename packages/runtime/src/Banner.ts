/** What a start prints: where things are, the key once, and what to do next. */

import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import type { FirstOwner } from "./commands/FirstOwner.ts"
import { isolationLines } from "./commands/Isolation.ts"
import { EdgeProcess } from "./EdgeProcess.ts"
import { edgeInstance } from "./instances/Builtin.ts"
import { controlUrl, type Platform } from "./Platform.ts"
import { Publisher } from "./Publisher.ts"

/** Waits for the edge, so that what it says is true when it is read. */
export const banner = Effect.fnUntraced(function* (
  platform: Platform["Service"],
  owner: FirstOwner["Service"],
  version: string,
  started: number
) {
  const { adopted } = yield* EdgeProcess
  const node = yield* Effect.flatMap(Publisher, (publisher) => publisher.awaitNode(edgeInstance))
  const url = controlUrl(platform)
  const keyFile = join(platform.home, "owner-key")
  const key = owner.keyFile === null ? null : readFileSync(owner.keyFile, "utf8").trim()
  const lines = [
    "",
    `  Deploy MCP ${version} is ready after ${Math.round(performance.now() - started)} ms, for owner ${owner.name}.`,
    "",
    `  MCP        ${url}/mcp`,
    `  git        ${url}/git/${owner.name}/<repository>.git`,
    `  services   http://<service>.${platform.appsDomain}:${node.appsPort || platform.appsPort}`,
    `  state      ${platform.home}`,
    key === null
      ? `  key        in ${keyFile}`
      : `  key        ${key}   (shown once; kept in ${keyFile})`,
    "",
    ...(adopted
      ? ["  The edge was running and has been adopted; nothing was interrupted.", ""]
      : []),
    ...(node.problem === null ? [] : [`  ! ${node.problem}; it tries again every 2 s.`, ""]),
    ...isolationLines(node.isolation).map((line) => `  · ${line}`),
    "",
    "  Next, in another terminal:",
    `    claude mcp add --transport http deploy-mcp ${url}/mcp --header "Authorization: Bearer $(cat ${keyFile})"`,
    "    npm run demo                  shows a push becoming a URL",
    "    npx deploy-mcp deploy <dir>   deploys a folder",
    ""
  ]
  yield* Effect.sync(() => console.log(lines.join("\n")))
})
