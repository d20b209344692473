/** A platform that speaks the API, with real git behind it and canned answers for everything else. */
import { execFileSync, spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { join } from "node:path"
import { Failure } from "@deploy-mcp/domain/Failure"

export type Json = Readonly<Record<string, unknown>>

/** The token in push URLs; it must not turn up anywhere else. */
export const secret = "mlg_secretsecretsecret"
export const key = "dk_live_test"

export type PlatformDouble = Awaited<ReturnType<typeof startDouble>>

/** Listens on a free port; repositories lie in `<world>/git`. */
export const startDouble = async (world: string) => {
  const state: {
    calls: Array<{ tool: string; input: Json }>
    service: Json | null
    outcome: Json
    pushes: number
  } = {
    /** Tool calls in the order in which they came. */
    calls: [],
    service: null,
    /** Replaces fields of each deployment. */
    outcome: {},
    pushes: 0
  }
  const bare = (name: string) => join(world, "git", `${name}.git`)
  const head = (name: string) =>
    execFileSync("git", ["-C", bare(name), "rev-parse", "main"], { encoding: "utf8" }).trim()

  const deployment = (number: number): Json => ({
    deployment: `site#${number}`,
    service: "site",
    project: "default",
    number,
    status: "live",
    phase: "route",
    cause: "push",
    commit: existsSync(bare("site")) ? head("site") : "0".repeat(40),
    created_at: "2026-01-01T00:00:00.000Z",
    finished_at: "2026-01-01T00:00:01.000Z",
    phases: [{ phase: "build", ms: 12 }],
    url: "http://site.localhost:8080",
    try: "curl -H 'Host: site.localhost' http://127.0.0.1:8080/",
    failure: null,
    next: "",
    ...state.outcome
  })

  const serviceView = (): Json => ({
    name: "site",
    project: "default",
    status: "live",
    type: "webapp",
    mode: "persistent",
    url: "http://site.localhost:8080",
    try: "curl",
    repo: "internal/calm-otter/site",
    branch: "main",
    live_commit: null,
    latest_deployment: deployment(state.pushes),
    next: ""
  })

  const keyView = { name: "owner", prefix: "dk_live_abc", scopes: ["services:read"], project: null }
  const fullKey = { ...keyView, expires_at: null, last_used_at: null, revoked: false }

  const answers: Readonly<Record<string, (input: Json) => Json>> = {
    whoami: () => ({
      owner: "calm-otter",
      key: fullKey,
      projects: ["default"],
      git_host: "internal",
      services: 1,
      platform: [],
      next: ""
    }),
    create_repo: ({ name }) => {
      const repository = bare(String(name))
      if (!existsSync(repository)) {
        execFileSync("git", ["init", "--quiet", "--bare", repository])
        execFileSync("git", ["-C", repository, "config", "http.receivepack", "true"])
      }
      return {
        repo: `internal/calm-otter/${name}`,
        name,
        description: "",
        clone_url: "",
        created: true,
        next: ""
      }
    },
    get_git_token: ({ name }) => ({
      repo: String(name),
      token: secret,
      username: "git",
      access: "write",
      expires_at: "2026-01-01T01:00:00.000Z",
      push_url: `http://git:${secret}@127.0.0.1:${port()}/git/${String(name).split("/").at(-1)}.git`,
      commands: [],
      next: ""
    }),
    get_service: ({ name }) => {
      if (state.service === null) throw Failure.of("not_found", `There is no service '${name}'.`)
      return serviceView()
    },
    create_service: (input) => {
      state.service = input
      return { service: serviceView(), created: true, next: "" }
    },
    list_services: ({ cursor }) => ({
      services: [{ ...serviceView(), name: cursor ? "two" : "one", latest_deployment: "one#1" }],
      total: 2,
      next_cursor: cursor ? null : "more",
      next: ""
    }),
    redeploy_service: () => {
      state.outcome = {}
      state.pushes += 1
      return deployment(state.pushes)
    },
    wait_for_deployment: () => ({ ...deployment(state.pushes), finished: true }),
    get_logs: () => ({
      source: "runtime",
      lines: [{ at: "2026-01-01T00:00:00.000Z", stream: "stdout", text: "red \u001b[31malert" }],
      truncated: false,
      notice: ""
    }),
    create_key: ({ name }) => ({ key: { ...fullKey, name }, secret: "dk_live_new", next: "" }),
    list_keys: () => ({ keys: [fullKey] }),
    revoke_key: () => ({ ...fullKey, revoked: true })
  }

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? "/", "http://localhost")
    if (url.pathname.startsWith("/git/")) return serveGit(url, request, response)
    if (url.pathname === "/livez") return response.end("ok")
    if (request.headers.authorization !== `Bearer ${key}`) {
      response.writeHead(401)
      return response.end(
        JSON.stringify({ error: Failure.of("unauthorized", "The key is unknown.") })
      )
    }
    if (url.pathname.endsWith("/logs")) {
      state.calls.push({ tool: "logs", input: Object.fromEntries(url.searchParams) })
      const line = (text: string) =>
        `${JSON.stringify({ seq: 1, at: "2026-01-01T00:00:00Z", stream: "stdout", text })}\n`
      response.write(line("first"))
      return response.end(line("second"))
    }
    let body = ""
    for await (const chunk of request) body += chunk
    const tool = url.pathname.split("/").at(-1) ?? ""
    const input: Json = JSON.parse(body)
    state.calls.push({ tool, input })
    try {
      response.end(JSON.stringify({ result: answers[tool]?.(input) }))
    } catch (error) {
      response.writeHead(404)
      response.end(JSON.stringify({ error }))
    }
  }

  /** git's own HTTP server, behind the token. */
  const serveGit = (url: URL, request: IncomingMessage, response: ServerResponse) => {
    const wanted = `Basic ${Buffer.from(`git:${secret}`).toString("base64")}`
    if (request.headers.authorization !== wanted) {
      response.writeHead(401)
      return response.end()
    }
    if (url.pathname.endsWith("/git-receive-pack")) state.pushes += 1
    const child = spawn("git", ["http-backend"], {
      env: {
        PATH: process.env.PATH,
        GIT_PROJECT_ROOT: join(world, "git"),
        GIT_HTTP_EXPORT_ALL: "1",
        PATH_INFO: url.pathname.slice("/git".length),
        QUERY_STRING: url.search.slice(1),
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers["content-type"],
        HTTP_CONTENT_ENCODING: request.headers["content-encoding"],
        GIT_PROTOCOL: request.headers["git-protocol"]?.toString()
      }
    })
    request.pipe(child.stdin)
    const chunks: Array<Buffer> = []
    child.stdout.on("data", (chunk) => chunks.push(chunk))
    child.on("close", () => {
      const whole = Buffer.concat(chunks)
      const end = whole.indexOf("\r\n\r\n")
      for (const header of whole.subarray(0, end).toString().split("\r\n")) {
        const [name = "", value = ""] = header.split(/: (.*)/su)
        if (name !== "Status") response.setHeader(name, value)
      }
      response.end(whole.subarray(end + 4))
    })
  }

  const server = createServer((request, response) => void answer(request, response))
  const port = () => {
    const address = server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  }
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return { state, bare, head, port: port(), close: () => server.close() }
}
