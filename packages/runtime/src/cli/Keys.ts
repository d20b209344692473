import type { KeyView } from "@deploy-mcp/domain/commands/Accounts"
import { Clock, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Calls from "./Calls.ts"
import { Client } from "./Client.ts"
import { finish, paint, plain, table } from "./Output.ts"

const showAll = Effect.fn(function* () {
  const client = yield* Client
  const { keys } = yield* client.call(Calls.listKeys, {})
  yield* finish({ keys }, rows(keys, yield* Clock.currentTimeMillis))
})

const list = Command.make("list", {}, showAll).pipe(
  Command.withDescription("List keys with their scopes and last use"),
  Command.withExamples([{ command: "deploy-mcp keys list", description: "Never shows a secret" }])
)

const create = Command.make(
  "create",
  {
    name: Argument.String("name").pipe(Argument.withDescription("What it is for, e.g. laptop")),
    scopes: Flag.String("scopes").pipe(
      Flag.withDescription("Comma-separated, e.g. services:read,services:deploy; default: yours"),
      Flag.optional
    ),
    project: Flag.String("project").pipe(
      Flag.withDescription("Works in this project only"),
      Flag.optional
    ),
    expires: Flag.Int("expires-in-days").pipe(
      Flag.withDescription("Days until it stops working"),
      Flag.optional
    )
  },
  Effect.fn(function* ({ name, scopes, project, expires }) {
    const client = yield* Client
    const made = yield* client.call(Calls.createKey, {
      name,
      scopes: Option.getOrUndefined(Option.map(scopes, splitList)),
      project: Option.getOrUndefined(project),
      expires_in_days: Option.getOrUndefined(expires)
    })
    yield* finish(made, [
      made.secret,
      paint("dim", `${made.key.name}: ${made.key.scopes.join(", ")}`),
      "Store it now; it is not shown again."
    ])
  })
).pipe(
  Command.withDescription("Make a key with at most your own scopes; its secret is shown once"),
  Command.withExamples([
    {
      command: "deploy-mcp keys create ci --scopes services:read,services:deploy",
      description: "A key that can deploy and nothing else"
    }
  ])
)

const revoke = Command.make(
  "revoke",
  { name: Argument.String("name").pipe(Argument.withDescription("As in keys list")) },
  Effect.fn(function* ({ name }) {
    const client = yield* Client
    const key = yield* client.call(Calls.revokeKey, { name })
    yield* finish(key, [`${plain(key.name)} is revoked.`])
  })
).pipe(
  Command.withDescription("Make a key useless at once"),
  Command.withExamples([
    { command: "deploy-mcp keys revoke ci", description: "Takes effect at once" }
  ])
)

export const keys = Command.make("keys", {}, showAll).pipe(
  Command.withDescription("List, create and revoke keys"),
  Command.withExamples([
    { command: "deploy-mcp keys", description: "List them" },
    { command: "deploy-mcp keys create laptop", description: "Make one for another machine" }
  ]),
  Command.withSubcommands([list, create, revoke])
)

const splitList = (text: string) =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")

const rows = (keys: ReadonlyArray<KeyView>, now: number) => {
  const [head = "", ...body] = table([
    ["NAME", "KEY", "STATE", "PROJECT", "LAST USED", "SCOPES"],
    ...keys.map((key) => [
      plain(key.name),
      `${key.prefix}…`,
      key.revoked
        ? "revoked"
        : key.expires_at === null
          ? "valid"
          : `${Date.parse(key.expires_at) <= now ? "expired" : "until"} ${key.expires_at.slice(0, 10)}`,
      key.project ?? "all",
      key.last_used_at?.slice(0, 16) ?? "never",
      key.scopes.join(",")
    ])
  ])
  return [paint("dim", head), ...body]
}
