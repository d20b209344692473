/**
 * The git door: `/git/<owner>/<repo>.git` speaks git's smart HTTP protocol. It decodes and
 * authorises; bytes go through unread, in both directions, and a client that hangs up ends all.
 */
import { type Failure, type FailureCode, refuse } from "@deploy-mcp/domain/Failure"
import { failureOf, Unavailable } from "@deploy-mcp/domain/Fault"
import { GitError } from "@deploy-mcp/domain/Git"
import { Effect, Redacted, Stream } from "effect"
import { HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { Gits } from "../Instances.ts"
import { GitAccess } from "./GitAccess.ts"

export const layer = HttpRouter.use((router) =>
  Effect.gen(function* () {
    const access = yield* GitAccess
    const gits = yield* Gits
    yield* router.add("*", "/git/*", (request) =>
      serve(request).pipe(
        Effect.provideService(GitAccess, access),
        Effect.provideService(Gits, gits)
      )
    )
  })
)

const serve = Effect.fn("GitPush.serve")(
  function* (request: HttpServerRequest.HttpServerRequest) {
    const asked = yield* decode(request.url)
    if (request.method !== asked.method) return notAllowed(asked.method)
    const access = yield* GitAccess
    const { owner, repository, gitInstance } = yield* access.authorize(
      asked.owner,
      asked.repo,
      tokenOf(request.headers.authorization),
      asked.access
    )
    const reply = yield* (yield* Gits).get(gitInstance).exchange({
      repository,
      access: asked.access,
      method: asked.method,
      path: asked.path,
      query: asked.query,
      contentType: request.headers["content-type"],
      contentEncoding: request.headers["content-encoding"],
      protocol: request.headers["git-protocol"],
      body: asked.method === "GET" ? Stream.empty : Stream.mapError(request.stream, () => hungUp),
      objection: (bytes) => access.objection(owner, bytes),
      pushed: (updates) => access.pushed(owner, repository.id, updates)
    })
    return HttpServerResponse.stream(reply.body, { status: reply.status, headers: reply.headers })
  },
  Effect.catchTags({
    CommandError: ({ failure }) => Effect.succeed(refusal(failure)),
    GitError: ({ reason }) => Effect.succeed(refusal(failureOf(reason)))
  })
)

/** A name that can't be one is a repository that does not exist; `.git` may be left out. */
const decode = Effect.fnUntraced(function* (url: string) {
  const [path = "", query = ""] = url.split("?", 2)
  const [, owner, repo, service] = route.exec(path) ?? []
  if (owner === undefined || repo === undefined || service === undefined) {
    return yield* refuse(
      "not_found",
      "There is nothing at this address; a repository is at /git/<owner>/<repo>.git."
    )
  }
  if (service !== "info/refs") {
    const access = service === "git-receive-pack" ? ("write" as const) : ("read" as const)
    return { owner, repo, access, method: "POST" as const, path: `/${service}`, query: "" }
  }
  if (query !== "service=git-upload-pack" && query !== "service=git-receive-pack") {
    return yield* refuse(
      "invalid_argument",
      "The query must be service=git-upload-pack or service=git-receive-pack.",
      { next: "Use a git client that speaks the smart HTTP protocol (git 1.6.6 or later)." }
    )
  }
  const access = query === "service=git-receive-pack" ? ("write" as const) : ("read" as const)
  return { owner, repo, access, method: "GET" as const, path: "/info/refs", query }
})

const name = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
const route = new RegExp(
  `^/git/(${name})/(${name}?)(?:\\.git)?/(info/refs|git-upload-pack|git-receive-pack)$`
)

/** The password is the token; the user name is free, and is the token when there is no password. */
const tokenOf = (authorization: string | undefined): Redacted.Redacted<string> | null => {
  const [, basic] = /^basic +([A-Za-z0-9+/=]+)$/i.exec(authorization ?? "") ?? []
  if (basic === undefined) return null
  const pair = Buffer.from(basic, "base64").toString("utf8")
  const colon = pair.indexOf(":")
  const token = pair.slice(colon + 1) || pair.slice(0, Math.max(colon, 0))
  return token === "" ? null : Redacted.make(token)
}

const hungUp = new GitError({
  reason: new Unavailable({ detail: "The client ended the request before it was complete." })
})

/** git prints plain text that comes with a refusal; another type it would hide. */
export const refusal = ({ code, cause, next, retry_after }: Failure) =>
  HttpServerResponse.text(`${cause}\n${code === "unauthorized" ? howToSignIn : next}\n`, {
    status: statuses[code] ?? 500,
    headers: {
      "cache-control": "no-store",
      ...(code === "unauthorized" ? { "www-authenticate": 'Basic realm="Deploy MCP"' } : {}),
      ...(retry_after === undefined ? {} : { "retry-after": String(retry_after) })
    }
  })

const howToSignIn = "Use a token from get_git_token as the password; any user name will do."

const statuses: Partial<Record<FailureCode, number>> = {
  invalid_argument: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  repository_missing: 404,
  rate_limited: 429,
  unavailable: 503
}

const notAllowed = (method: string) =>
  HttpServerResponse.text(`Use ${method} here.\n`, { status: 405, headers: { allow: method } })
