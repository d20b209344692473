/** What a browser shows at the control's address, and a readable answer for all that is not there. */
import { Failure } from "@deploy-mcp/domain/Failure"
import { Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { controlUrl, Platform } from "../Platform.ts"

export const layer = HttpRouter.use((router) =>
  Effect.gen(function* () {
    const platform = yield* Platform
    yield* router.add("GET", "/", HttpServerResponse.html(page(platform)))
    yield* router.add("*", "/*", HttpServerResponse.json({ error: nothingHere }, { status: 404 }))
  })
)

const nothingHere = Failure.of("not_found", "There is nothing at this address.", {
  next: "MCP is at /mcp, git at /git/<owner>/<repo>.git, the API at /api/v1/<tool>."
})

/** Nothing in it is secret: it names where the key is, never the key. */
const page = (platform: Platform["Service"]): string => {
  const url = controlUrl(platform)
  const add = `claude mcp add --transport http deploy-mcp ${url}/mcp --header "Authorization: Bearer $(cat ${platform.home}/owner-key)"`
  const rows = [
    ["Agents (MCP)", `${url}/mcp`],
    ["git", `${url}/git/&lt;owner&gt;/&lt;repository&gt;.git`],
    ["Programs (JSON)", `POST ${url}/api/v1/&lt;tool&gt;`],
    ["Services", `http://&lt;service&gt;.${platform.appsDomain}:${platform.appsPort}`],
    ["For operators", `<a href="/readyz">/readyz</a> · <a href="/metrics">/metrics</a>`]
  ]
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Deploy MCP</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.6 system-ui, sans-serif; max-width: 44rem; margin: 4rem auto; padding: 0 1.25rem }
h1 { font-size: 1.6rem; margin: 0 } p { opacity: .75 }
table { border-collapse: collapse; width: 100%; margin: 1.5rem 0 }
td { padding: .45rem 1rem .45rem 0; border-top: 1px solid #8883; vertical-align: top }
td:first-child { white-space: nowrap; opacity: .7 }
code, pre { font: .85rem/1.5 ui-monospace, monospace } pre { padding: 1rem; border: 1px solid #8884; border-radius: .5rem; white-space: pre-wrap; overflow-wrap: anywhere }
</style>
<h1>Deploy MCP is running</h1>
<p>A git push becomes a live URL, and an agent can do it by itself.</p>
<table>${rows.map(([name, value]) => `<tr><td>${name}<td><code>${value}</code>`).join("")}</table>
<p>Connect an agent:</p>
<pre>${add.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</pre>
<p>Or deploy a folder: <code>npx deploy-mcp deploy path/to/app</code></p>
</html>
`
}
