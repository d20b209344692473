import type { ServiceSummary } from "@deploy-mcp/domain/commands/Views"
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Calls from "./Calls.ts"
import { Client } from "./Client.ts"
import { finish, paint, plain, table } from "./Output.ts"

export const services = Command.make(
  "services",
  {
    project: Flag.String("project").pipe(Flag.withDescription("Only this project"), Flag.optional)
  },
  Effect.fn(function* ({ project }) {
    const listed = yield* listAll(Option.getOrUndefined(project))
    const ailing = yield* reasons(listed)
    const lines = listed.length === 0 ? nothingYet : [...rows(listed), ...ailing]
    yield* finish({ services: listed }, lines)
  })
).pipe(
  Command.withDescription("List services with their state and URL"),
  Command.withExamples([
    { command: "deploy-mcp services", description: "All services of all projects" },
    { command: "deploy-mcp services --json", description: "The same for programs" }
  ])
)

/** Answers come in pages; people want the whole list. */
export const listAll = Effect.fnUntraced(function* (project: string | undefined) {
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

/** Why services that were live are not any more, in the words that everybody is told. */
const reasons = Effect.fnUntraced(function* (listed: ReadonlyArray<ServiceSummary>) {
  const client = yield* Client
  const crashed = listed.filter(({ status }) => status === "crashed" || status === "paused")
  const views = yield* Effect.forEach(crashed, ({ name, project }) =>
    client.call(Calls.getService, { name, project })
  )
  return views.map(({ name, next }) => `${paint("red", `✗ ${name}`)}  ${plain(next)}`)
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
      service.url ?? "-"
    ])
  ])
  return [paint("dim", head), ...body]
}
