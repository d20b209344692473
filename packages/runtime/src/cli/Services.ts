import type { ServiceSummary } from "@deploy-mcp/domain/commands/Views"
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Calls from "./Calls.ts"
import { Client } from "./Client.ts"
import { finish, paint, table } from "./Output.ts"

export const services = Command.make(
  "services",
  {
    project: Flag.String("project").pipe(Flag.withDescription("Only this project"), Flag.optional)
  },
  Effect.fn(function* ({ project }) {
    const listed = yield* listAll(Option.getOrUndefined(project))
    yield* finish({ services: listed }, listed.length === 0 ? nothingYet : rows(listed))
  })
).pipe(
  Command.withDescription("List services with their state and URL"),
  Command.withExamples([
    { command: "deploy-mcp services", description: "All services of all projects" },
    { command: "deploy-mcp services --json", description: "The same for programs" }
  ])
)

/** Answers come in pages; people want the whole list. */
const listAll = Effect.fnUntraced(function* (project: string | undefined) {
  const client = yield* Client
  const all: Array<ServiceSummary> = []
  let cursor: string | null = null
  do {
    const page: typeof Calls.listServices.answer.Type = yield* client.call(Calls.listServices, {
      ...(project === undefined ? {} : { project }),
      ...(cursor === null ? {} : { cursor })
    })
    all.push(...page.services)
    cursor = page.next_cursor
  } while (cursor !== null)
  return all
})

const nothingYet = ["Nothing is deployed yet. Try: deploy-mcp deploy <folder>"]

const rows = (listed: ReadonlyArray<ServiceSummary>) => {
  const [head = "", ...body] = table([
    ["NAME", "STATUS", "TYPE", "PROJECT", "DEPLOYMENT", "URL"],
    ...listed.map((service) => [
      service.name,
      service.status,
      service.type,
      service.project,
      service.latest_deployment ?? "-",
      service.url
    ])
  ])
  return [paint("dim", head), ...body]
}
