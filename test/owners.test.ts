// biome-ignore-all lint/suspicious/noTemplateCurlyInString: planted code has placeholders of its own
/**
 * Rows of owners are loaded with their owner: types see to that (`store/Owned.ts`, and what must not
 * compile in its test). Here is what types can't see: the text of statements, and who is let through.
 */
import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { fileURLToPath } from "node:url"
import { ownedTables } from "@deploy-mcp/runtime/store/Owned"
import { assert, describe, it } from "vitest"

const source = path.join(
  path.dirname(path.dirname(fileURLToPath(import.meta.url))),
  "packages/runtime/src"
)

/** Sees the tables as they are, because it makes them or is what others see them through. */
const border = /^store\/(?:Owned\.ts$|migrations\/)/u

const product = readdirSync(source, { recursive: true, encoding: "utf8" })
  .filter((file) => /(?<!\.test|\.world)\.ts$/u.test(file) && !file.includes("testing/"))
  .map((file) => ({ file, text: readFileSync(path.join(source, file), "utf8") }))

const outside = product.filter(({ file }) => !border.test(file))

const filesWith = (pattern: RegExp) =>
  outside.filter(({ text }) => pattern.test(text)).map(({ file }) => file)

const named = ownedTables.join("|")
const past: ReadonlyArray<RegExp> = [
  new RegExp(String.raw`\b(?:FROM|JOIN|UPDATE)\s+(?:${named})\b`, "u"),
  new RegExp(String.raw`\bFROM\s[^()\n]*,\s*(?:${named})\b`, "u"),
  /\bsql(?:\.unsafe|\.literal)?\(/u
]

/** What has the right to see all owners' rows; the reason is why no owner can be named there. */
const everyone: Readonly<Record<string, string>> = {
  "Publisher.ts": "a node is told of all that runs on it",
  "commands/MissedPushes.ts": "pushes that nobody told of, looked for at the start",
  "http/Health.ts": "numbers for the operator",
  "instances/InUse.ts": "an instance goes when nobody uses it any more",
  "publisher/NodePublisher.ts": "a node is told of all that runs on it",
  "publisher/RoutePublisher.ts": "an ingress is told of all routes",
  "publisher/SealedVariables.ts": "variables of a release that a node is told of",
  "publisher/WantedStage.ts": "finds out whose a stage is",
  "reconcile/Reconciler.ts": "the world is compared with all rows",
  "reconcile/RowDifferences.ts": "the world is compared with all rows",
  "retention/Retention.ts": "what is old is forgotten",
  "store/CommonStore.ts": "finds out whose a secret is, and whether a hostname is free",
  "store/HistoryStore.ts": "what is old is forgotten",
  "store/ReconcileStore.ts": "the world is compared with all rows",
  "workflows/Coordinator.ts": "goes on with everything at the start",
  "workflows/DeploySteps.ts": "finds out whose a deployment is",
  "workflows/RemoveService.ts": "finds out whose a stage is",
  "workflows/RetireRelease.ts": "finds out whose a deployment is",
  "workflows/Room.ts": "artifacts that nobody needs are removed"
}

describe("rows of owners", () => {
  it("are named by no statement but through ownedRows", () => {
    assert.isAbove(outside.length, 100)
    for (const pattern of past) assert.deepStrictEqual(filesWith(pattern), [], `${pattern}`)
  })

  it("of all owners are seen by what is listed, and given to it by compositions alone", () => {
    const uses = filesWith(/\bEveryOwner\b/u)
    assert.deepStrictEqual(uses.sort(), Object.keys(everyone).sort())
    const givers = filesWith(/\bforPlatform\b|\bEveryOwner\.layer\b/u)
    assert.deepStrictEqual(givers, ["compositions/core.ts", "compositions/embedded.ts"])
  })

  it("belong to owners that nobody makes up", () => {
    assert.deepStrictEqual(filesWith(/\bOwnerId\.make|as OwnerId\b/u), ["store/AccountStore.ts"])
  })

  const planted: ReadonlyArray<string> = [
    "sql`SELECT * FROM deployments WHERE id = ${id}`",
    "sql`${select} JOIN services ON services.id = ${id}`",
    "sql`SELECT 1 FROM nodes, stages`",
    "sql`DELETE FROM keys WHERE id = ${id}`",
    "sql`UPDATE stages SET generation = 1`",
    'sql`SELECT * FROM ${sql("services")}`',
    'sql`SELECT * FROM ${sql.literal("services")}`',
    'sql.unsafe("SELECT * FROM " + "services")'
  ]
  it.each(planted)("are not to be reached by $0", (text) => {
    assert.isTrue(past.some((pattern) => pattern.test(text)))
  })
})
