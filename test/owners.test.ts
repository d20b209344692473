// biome-ignore-all lint/suspicious/noTemplateCurlyInString: planted code has placeholders of its own
/**
 * No row of a tenant is loaded or changed without its owner: each statement of a store names
 * `owner_id`, or its member is listed here with what stands in for it. Commands and doors, which strangers
 * reach, may not use those that act for the platform.
 */
import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"
import { parseAst } from "vitest/node"

/** Members whose ids come out of a row that was loaded with its owner, or of a secret that proves it. */
const derived: Readonly<Record<string, string>> = {
  "AccountStore.keyByPrefix": "part of the secret, whose hash is compared next",
  "AccountStore.touchKey": "of the key that was just verified",
  "DeploymentStore.closePhases": "within the store",
  "DeploymentStore.live": "stage of an owned service",
  "DeploymentStore.newest": "stage of an owned service",
  "DeploymentStore.newestOf": "stages of owned services",
  "DeploymentStore.openPhase": "within the store",
  "DeploymentStore.phases": "ids of owned deployments",
  "DeploymentStore.retries": "id of an owned deployment",
  "DeploymentStore.request": "stage of an owned service; the row has its owner",
  "ReleaseStore.everLive": "stage of an owned service",
  "ReleaseStore.raise": "within the store",
  "RepositoryStore.addToken": "forgets all that have expired; the row has its owner",
  "RepositoryStore.byToken": "the repository that a secret opens",
  "RepositoryStore.tokenByHash": "a secret's hash",
  "ServiceStore.freeLabels": "hostnames are unique among all owners; answers only whether",
  "ServiceStore.putVariable": "stage of an owned service; the row has its owner",
  "ServiceStore.removeVariables": "stage of an owned service",
  "ServiceStore.trash": "an owned service and what belongs to it",
  "ServiceStore.variables": "stage of an owned service",
  "TrashStore.restore": "an owned service and what belongs to it"
}

/** Members for workflows, nodes and the platform's own upkeep, which act for all owners. */
const platform: ReadonlySet<string> = new Set([
  "DeploymentStore.claimArtifact",
  "DeploymentStore.decide",
  "DeploymentStore.end",
  "DeploymentStore.enter",
  "DeploymentStore.open",
  "DeploymentStore.ended",
  "DeploymentStore.openStages",
  "DeploymentStore.settle",
  "DeploymentStore.withOwner",
  "ReconcileStore.artifacts",
  "ReconcileStore.deployments",
  "ReconcileStore.hasRepository",
  "ReconcileStore.mendStage",
  "ReconcileStore.open",
  "ReconcileStore.repositories",
  "ReconcileStore.running",
  "ReconcileStore.wrongStages",
  "ReleaseStore.collectable",
  "ReleaseStore.discard",
  "ReleaseStore.forgetArtifacts",
  "ReleaseStore.labels",
  "ReleaseStore.markCollected",
  "ReleaseStore.moveRoute",
  "ReleaseStore.orphans",
  "ReleaseStore.reach",
  "ReleaseStore.record",
  "ReleaseStore.release",
  "ReleaseStore.stage",
  "ReleaseStore.stages",
  "ReleaseStore.wanted",
  "RepositoryStore.withOwner",
  "ServiceStore.all",
  "ServiceStore.names",
  "ServiceStore.variablesById",
  "TrashStore.claim",
  "TrashStore.contents",
  "TrashStore.holds",
  "TrashStore.purge",
  "TrashStore.stages",
  "UsageStore.allArtifacts"
])

/** Uses of the platform's members in commands and doors, each with the reason. */
const uses: Readonly<Record<string, string>> = {
  "commands/Pushes.ts: RepositoryStore.withOwner": "a push that git itself reports",
  "commands/Pushes.ts: ServiceStore.all": "pushes that were missed, looked for at the start",
  "commands/Services.ts: ReleaseStore.stage": "the stage that was just put into the trash",
  "http/Health.ts: DeploymentStore.open": "numbers for the operator, of all owners",
  "http/Health.ts: UsageStore.allArtifacts": "numbers for the operator, of all owners"
}

type Node = Readonly<Record<string, unknown>> & { readonly start: number; readonly end: number }

interface Member {
  readonly name: string
  readonly text: string
}

const tenantRows =
  /\b(?:FROM|JOIN|INTO|UPDATE)\s+(?:keys|projects|services|stages|deployments|deployment_phases|deployment_retries|releases|variables|hostnames|repositories|repository_tokens)\b/u

/** What a store's `make` names: its functions, whether they are part of what it returns or not. */
const membersOf = (text: string): ReadonlyArray<Member> => {
  const body = nodesIn(parseAst(text, { lang: "ts" })).find(isMake)
  const block = body === undefined ? [] : nodesIn(body.value).filter(isBlock)[0]
  return childrenOf(block && "body" in block ? block.body : []).flatMap((statement) =>
    statement.type === "ReturnStatement"
      ? childrenOf(isNode(statement.argument) ? statement.argument.properties : []).flatMap(
          (each) => named(each.key, each.value, text)
        )
      : childrenOf(statement.declarations).flatMap((each) => named(each.id, each.init, text))
  )
}

const isMake = (node: Node): boolean =>
  node.type === "Property" && isNode(node.key) && node.key.name === "make"
const isBlock = (node: Node): boolean => node.type === "BlockStatement"

const named = (key: unknown, value: unknown, text: string): ReadonlyArray<Member> =>
  isNode(key) && isNode(value) && typeof key.name === "string" && value.type !== "Identifier"
    ? [{ name: key.name, text: text.slice(value.start, value.end) }]
    : []

/** Names of members with a statement about tenants' rows that does not say whose they are. */
const ownerless = (text: string): ReadonlyArray<string> => {
  const members = membersOf(text)
  const fragments = new Map(
    members.filter((each) => each.text.startsWith("sql`")).map((each) => [each.name, each.text])
  )
  return members
    .filter(({ name }) => !fragments.has(name))
    .filter((member) =>
      statementsIn(member.text).some((statement) => {
        const whole = statement.replace(/\$\{(\w+)\}/gu, (all, name) => fragments.get(name) ?? all)
        return tenantRows.test(whole) && !isOwned(statement, member.text)
      })
    )
    .map(({ name }) => name)
}

const statementsIn = (text: string): ReadonlyArray<string> =>
  nodesIn(parseAst(`(${text})`, { lang: "ts" }))
    .filter(
      (node) =>
        node.type === "TaggedTemplateExpression" && isNode(node.tag) && node.tag.name === "sql"
    )
    .map(({ end, start }) => `(${text})`.slice(start, end))

/** A condition on the owner, or a new row that has one. */
const isOwned = (statement: string, member: string): boolean =>
  /\bowner_id\s*=\s*\$\{/u.test(statement) ||
  (/\bINSERT INTO\b/u.test(statement) && /\bowner_id(?::|\b.*\bSELECT\b)/su.test(member))

/** `Store.member` for each member of a store that a file outside of the stores uses. */
const usedIn = (text: string): ReadonlySet<string> => {
  const nodes = nodesIn(parseAst(text, { lang: "ts" }))
  const stores = new Map(nodes.flatMap(storeOf))
  return new Set(
    nodes.flatMap((node) => {
      if (node.type !== "MemberExpression" || !isNode(node.object) || !isNode(node.property))
        return []
      const store = yieldedStore(node.object) ?? stores.get(String(node.object.name))
      return store === undefined ? [] : [`${store}.${node.property.name}`]
    })
  )
}

/** `const x = yield* Store`, and `Store.use((x) => …)`. */
const storeOf = (node: Node): ReadonlyArray<readonly [string, string]> => {
  if (node.type === "VariableDeclarator" && isNode(node.id)) {
    const store = isNode(node.init) ? yieldedStore(node.init) : undefined
    return store === undefined ? [] : [[String(node.id.name), store]]
  }
  if (node.type !== "CallExpression" || !isNode(node.callee) || !isNode(node.callee.object))
    return []
  const store = String(node.callee.object.name)
  const [use] = childrenOf(node.arguments)
  const [parameter] = childrenOf(use?.params)
  return store.endsWith("Store") && parameter !== undefined ? [[String(parameter.name), store]] : []
}

const yieldedStore = (node: Node): string | undefined => {
  const inner =
    node.type === "ParenthesizedExpression" && isNode(node.expression) ? node.expression : node
  if (inner.type !== "YieldExpression" || !isNode(inner.argument)) return undefined
  const name = String(inner.argument.name)
  return name.endsWith("Store") ? name : undefined
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && !Array.isArray(value)
const childrenOf = (value: unknown): ReadonlyArray<Node> =>
  Array.isArray(value) ? value.filter(isNode) : []
const nodesIn = (value: unknown): ReadonlyArray<Node> => {
  if (Array.isArray(value)) return value.flatMap(nodesIn)
  return isNode(value) ? [value, ...Object.values(value).flatMap(nodesIn)] : []
}

// The real house.

const source = path.join(
  path.dirname(path.dirname(fileURLToPath(import.meta.url))),
  "packages/runtime/src"
)
const read = (file: string) => readFileSync(path.join(source, file), "utf8")
const filesIn = (folder: string, which: RegExp) =>
  readdirSync(path.join(source, folder))
    .filter((file) => which.test(file))
    .map((file) => `${folder}/${file}`)

describe("rows of tenants", () => {
  it("are asked for with their owner, or by a member that is listed", () => {
    const stores = filesIn("store", /Store\.ts$/u)
    assert.isAbove(stores.length, 5)
    const found = stores.flatMap((file) =>
      ownerless(read(file)).map((name) => `${path.basename(file, ".ts")}.${name}`)
    )
    assert.deepStrictEqual(found.sort(), [...Object.keys(derived), ...platform].sort())
  })

  it("of all owners are not within reach of commands and doors", () => {
    const doors = ["commands", "http"].flatMap((folder) =>
      filesIn(folder, /(?<!\.test|\.world)\.ts$/u)
    )
    const found = doors.flatMap((file) =>
      [...usedIn(read(file))].filter((name) => platform.has(name)).map((name) => `${file}: ${name}`)
    )
    assert.deepStrictEqual(found.sort(), Object.keys(uses).sort())
  })

  const storeWith = (member: string) => `class XStore extends Service()("x", {
    make: Effect.gen(function* () {
      const select = sql\`SELECT * FROM services JOIN stages ON stages.service_id = services.id\`
      return { ${member} }
    })
  }) {}`
  const planted: ReadonlyArray<string> = [
    "x: (id) => Rows.one(Row)(sql`SELECT * FROM deployments WHERE id = ${id}`)",
    "x: (id) => Rows.first(Row)(sql`${select} WHERE services.id = ${id}`)",
    "x: (owner, id) => sql`SELECT owner_id FROM variables WHERE id = ${id}`",
    "x: Effect.fn(function* (id) { yield* Rows.write(sql`DELETE FROM keys WHERE id = ${id}`) })",
    "x: (id) => sql`INSERT INTO services ${sql.insert({ id })}`"
  ]
  it.each(planted)("need an owner in $0", (member) => {
    assert.deepStrictEqual(ownerless(storeWith(member)), ["x"])
  })

  it("with their owner are allowed, and so are others' rows", () => {
    const members = [
      "x: (owner, id) => sql`${select} WHERE services.owner_id = ${owner} AND services.id = ${id}`",
      "x: (owner) => sql`INSERT INTO services ${sql.insert({ owner_id: owner })}`",
      "x: (node) => sql`SELECT epoch FROM nodes WHERE id = ${node}`"
    ]
    for (const member of members) assert.deepStrictEqual(ownerless(storeWith(member)), [])
  })

  it("are followed to where a file gets its store from", () => {
    const texts = [
      "function* f() { const store = yield* XStore; yield* store.x(1) }",
      "function* f() { const { id } = yield* (yield* XStore).x(1) }",
      "XStore.use((store) => store.x(1))"
    ]
    for (const text of texts) assert.isTrue(usedIn(text).has("XStore.x"), text)
  })
})
