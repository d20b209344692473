/** For people with the command line; agents get no tool that mints credentials for the account. */
import { Accounts, KeyView } from "@deploy-mcp/domain/commands/Accounts"
import { Scope } from "@deploy-mcp/domain/model/Principal"
import { Effect, Schema } from "effect"
import * as Tool from "../Tool.ts"
import * as Fields from "./Fields.ts"

const keyName = Tool.field(
  Schema.NonEmptyString.pipe(Schema.check(Schema.isMaxLength(80))),
  "Name of the key, e.g. laptop"
)

export const createKey = Tool.make({
  name: "create_key",
  title: "Create a key",
  toolset: "keys",
  description:
    "Mint a key with at most the caller's own scopes, project and life. The secret is shown once.",
  input: Schema.Struct({
    name: keyName,
    scopes: Schema.optionalKey(
      Tool.field(
        Schema.Array(Scope),
        'What it may do, e.g. ["services:read"]; default as the caller'
      )
    ),
    project: Schema.optionalKey(
      Tool.field(Fields.project.schema, "Works in this project only, e.g. shop")
    ),
    expires_in_days: Schema.optionalKey(
      Tool.field(Fields.count(1, 3650), "Days until it stops working, e.g. 90")
    )
  }),
  output: Schema.Struct({ key: KeyView, secret: Schema.String, next: Schema.String }),
  hints: { readOnly: false, destructive: false, idempotent: false, openWorld: false },
  scope: "keys:manage",
  run: ({ expires_in_days, ...input }) =>
    Accounts.use((accounts) =>
      accounts.createKey({
        ...input,
        ...(expires_in_days === undefined ? {} : { expiresInDays: expires_in_days })
      })
    ).pipe(
      Effect.map((made) => ({
        ...made,
        next: "Store the secret now, it is not shown again; send it as 'Authorization: Bearer …'."
      }))
    )
})

export const listKeys = Tool.make({
  name: "list_keys",
  title: "List keys",
  toolset: "keys",
  description: "List the owner's keys with their scopes and last use; never a secret.",
  input: Schema.Struct({}),
  output: Schema.Struct({ keys: Schema.Array(KeyView) }),
  cut: { lists: [{ field: "keys", keep: "first" }], narrow: "Revoke keys that are not used." },
  hints: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
  scope: "keys:manage",
  run: () => Accounts.use((accounts) => accounts.listKeys).pipe(Effect.map((keys) => ({ keys })))
})

export const revokeKey = Tool.make({
  name: "revoke_key",
  title: "Revoke a key",
  toolset: "keys",
  description: "Make a key useless at once, everywhere. Succeeds also when it was revoked before.",
  input: Schema.Struct({ name: keyName }),
  output: Schema.Struct({ ...KeyView.fields, next: Schema.String }),
  hints: { readOnly: false, destructive: true, idempotent: true, openWorld: false },
  scope: "keys:manage",
  run: (input) =>
    Effect.map(
      Accounts.use((accounts) => accounts.revokeKey(input)),
      (key) => ({ ...key, next: "It never works again. For another one instead: create_key." })
    )
})

export const keyTools: ReadonlyArray<Tool.Tool> = [createKey, listKeys, revokeKey]
