import { request } from "node:http"
import { join } from "node:path"
import type { CommandError } from "@deploy-mcp/domain/Failure"
import { refuse } from "@deploy-mcp/domain/Failure"
import { Clock, Config, Effect, FileSystem, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { settings } from "../Config.ts"
import * as Calls from "./Calls.ts"
import { Client } from "./Client.ts"
import * as Git from "./Git.ts"
import { freePort, launch } from "./Launch.ts"
import { finish, paint, plain, tell } from "./Output.ts"
import * as Sample from "./Sample.ts"
import { mustBeLive, push, settle } from "./Shipping.ts"
import * as Source from "./Source.ts"

interface Stage {
  readonly stage: string
  readonly detail: string
  readonly ms: number
}

const name = "deploy-mcp-demo"
const branch = "main"

export const demo = Command.make(
  "demo",
  {
    keep: Flag.Boolean("keep").pipe(
      Flag.withDescription("Leave the service, and a platform that was started for it, running"),
      Flag.withDefault(false)
    )
  },
  Effect.fn(function* ({ keep }) {
    const stages: Array<Stage> = []
    const { client, started } = yield* stage(stages, "platform", findPlatform(keep))
    const { url } = yield* story(stages, keep).pipe(Effect.provideService(Client, client))
    if (keep) yield* tell(`  kept: ${url}`)
    if (keep && started !== null) {
      yield* tell(`  kept: the platform in ${started.home}; stop it with: kill ${started.pid}`)
    }
    yield* finish({ stages, ...(keep ? { url } : {}) }, [])
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Tell the whole story: repository, push, live URL, a changed line, live again; then leave everything as it was"
  ),
  Command.withShortDescription("See a push become a URL, with times"),
  Command.withExamples([
    { command: "deploy-mcp demo", description: "On the running platform, else on one of its own" },
    { command: "deploy-mcp demo --keep", description: "And look at it afterwards" }
  ])
)

/** The platform that answers, else one of our own for as long as the story lasts. */
const findPlatform = Effect.fnUntraced(function* (keep: boolean) {
  const client = yield* Client
  const base = `http://127.0.0.1:${client.address.port}`
  if (yield* client.isUp) return { client, started: null, detail: `the one on ${base}` }
  const files = yield* FileSystem.FileSystem
  const given = yield* Config.option(Config.String("DEPLOY_MCP_HOME"))
  const temporary = keep ? files.makeTempDirectory : files.makeTempDirectoryScoped
  const home = Option.isSome(given) ? given.value : yield* temporary({ prefix: "deploy-mcp-demo-" })
  const { appsPort } = yield* settings
  const ports = {
    port: yield* freePort(client.address.port),
    appsPort: yield* freePort(appsPort)
  }
  const running = yield* launch({ home, ...ports, keep })
  return {
    client: running.client,
    started: { home, pid: running.pid },
    detail: `none answered on ${base}; started one on port ${ports.port}, home ${home}`
  }
})

const story = Effect.fnUntraced(function* (stages: Array<Stage>, keep: boolean) {
  const files = yield* FileSystem.FileSystem
  const directory = yield* files.makeTempDirectoryScoped({ prefix: "deploy-mcp-demo-" })
  const write = (greeting: string) =>
    Effect.forEach(Object.entries(Sample.files(greeting)), ([file, text]) =>
      files.writeFileString(join(directory, file), text)
    )
  const { remote } = yield* stage(stages, "repository", makeRepository)
  yield* stage(stages, "service", makeService(keep))
  const ship = Effect.gen(function* () {
    const source = yield* Source.open(directory)
    const commit = yield* Source.commit(source, remote, branch)
    yield* push({ directory, commit, remote, branch, force: false })
    const view = yield* mustBeLive(yield* settle({ name, project: undefined }))
    const phases = view.phases.map(({ phase, ms }) => `${phase} ${ms} ms`).join(", ")
    return { url: view.url ?? "", detail: `${view.deployment} is live: ${phases}` }
  })

  yield* write(Sample.firstGreeting)
  const { url } = yield* stage(stages, "push", ship)
  yield* stage(stages, "answer", ask(url, Sample.firstGreeting))
  yield* write(Sample.secondGreeting)
  yield* stage(stages, "change", ship)
  yield* stage(stages, "answer", ask(url, Sample.secondGreeting))
  return { url }
})

const makeRepository = Effect.gen(function* () {
  const client = yield* Client
  const { repo, created } = yield* client.call(Calls.createRepo, {
    name,
    description: "Made by deploy-mcp demo"
  })
  const token = yield* client.call(Calls.getGitToken, { name })
  return {
    remote: Git.remoteOf(token.push_url),
    detail: `${created ? "created" : "found"} ${repo}, with a token until ${token.expires_at}`
  }
})

/** Goes again with the scope, unless it was there before. */
const makeService = Effect.fnUntraced(function* (keep: boolean) {
  const client = yield* Client
  const make = client.call(Calls.createService, { name, repo: name, branch })
  const { service, created } = yield* Effect.acquireRelease(make, (made) =>
    made.created && !keep ? Effect.ignore(client.call(Calls.deleteService, { name })) : Effect.void
  )
  return { detail: `${created ? "created" : "found"} ${service.name}, at ${service.url}` }
})

/** Names of services resolve in browsers, not everywhere: the address is dialled, the name is a header. */
const ask = Effect.fnUntraced(function* (address: string, expected: string) {
  const url = new URL(address)
  const { status, body } = yield* Effect.callback<{ status: number; body: string }, CommandError>(
    (resume) => {
      const unreachable = (error: Error) =>
        resume(Effect.fail(refuse("unavailable", `${address} did not answer: ${error.message}.`)))
      const asked = request(
        {
          host: "127.0.0.1",
          port: url.port || 80,
          path: url.pathname,
          headers: { host: url.host }
        },
        (response) => {
          let body = ""
          response.setEncoding("utf8")
          response.on("data", (text) => {
            body += text
          })
          response.once("end", () =>
            resume(Effect.succeed({ status: response.statusCode ?? 0, body: body.trim() }))
          )
        }
      )
      asked.once("error", unreachable)
      asked.end()
    }
  )
  if (status !== 200 || body !== expected) {
    return yield* refuse(
      "unhealthy",
      `${address} answered ${status} instead of the new greeting.`,
      {
        evidence: [body.slice(0, 200)]
      }
    )
  }
  return { detail: `${address} → ${status} "${plain(body)}"` }
})

/** Runs one part of the story and tells it with its time. */
const stage = <A extends { readonly detail: string }, E, R>(
  stages: Array<Stage>,
  title: string,
  part: Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    const before = yield* Clock.currentTimeMillis
    const result = yield* part
    const ms = (yield* Clock.currentTimeMillis) - before
    stages.push({ stage: title, detail: result.detail, ms })
    yield* tell(
      `${paint("green", "✓")} ${title.padEnd(10)} ${paint("bold", `${ms} ms`.padStart(8))}  ${result.detail}`
    )
    return result
  })
