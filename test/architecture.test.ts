/** The arrows of the house: who may import whom, what a folder may be called, how long a file may be. */
import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"
import { parseAst } from "vitest/node"

interface SourceFile {
  /** Relative to the project, e.g. `packages/edge/src/main.ts`. */
  readonly file: string
  readonly text: string
}

interface Import {
  readonly specifier: string
  /** Imported names; empty for `import()`, `export *` and imports of a whole module. */
  readonly names: ReadonlyArray<string>
}

/** What a package may import beside its own files. Third parties must be among its dependencies too. */
interface Room {
  readonly allows: (wanted: Import, file: string) => boolean
  /** What its tests may import in addition. */
  readonly testsAllow: (wanted: Import, file: string) => boolean
}

const isEffect = ({ specifier }: Import) => /^effect(\/|$)/u.test(specifier)
const isNode = ({ specifier }: Import) => specifier.startsWith("node:")
const isTesting = ({ specifier }: Import) => /^(vitest|@effect\/vitest)(\/|$)/u.test(specifier)
const isOurs = ({ specifier }: Import, name: string) =>
  specifier.startsWith(`@deploy-mcp/${name}/`) && !specifier.endsWith(".test")
const isThirdParty = (wanted: Import) =>
  !isEffect(wanted) && !isNode(wanted) && !wanted.specifier.startsWith("@deploy-mcp/")
const onlyNames = ({ names }: Import, allowed: ReadonlyArray<string>) =>
  names.length > 0 && names.every((name) => allowed.includes(name))

/** The edge stays lean: of effect it decodes with Schema and reads what decoding answers. */
const schemaOnly = ["Schema", "Result", "Option", "Exit", "Redacted"]

const rooms: Readonly<Record<string, Room>> = {
  domain: {
    // A conformance kit is a test that ships with its contract.
    allows: (wanted, file) =>
      isEffect(wanted) || (file.includes("/src/conformance/") && isTesting(wanted)),
    testsAllow: (wanted) => isTesting(wanted)
  },
  edge: {
    allows: (wanted) =>
      isNode(wanted) ||
      isOurs(wanted, "domain/node") ||
      isOurs(wanted, "domain/model") ||
      (wanted.specifier === "effect" && onlyNames(wanted, schemaOnly)),
    testsAllow: (wanted) => isTesting(wanted) || isEffect(wanted)
  },
  providers: {
    allows: (wanted) =>
      isEffect(wanted) || isNode(wanted) || isOurs(wanted, "domain") || isThirdParty(wanted),
    testsAllow: isTesting
  },
  mcp: {
    allows: (wanted, file) =>
      isEffect(wanted) ||
      isOurs(wanted, "domain") ||
      (/^@modelcontextprotocol\/server(\/|$)/u.test(wanted.specifier) &&
        ["packages/mcp/src/Server.ts", "packages/mcp/src/Offer.ts"].includes(file)),
    testsAllow: (wanted) =>
      isTesting(wanted) ||
      isNode(wanted) ||
      /^@modelcontextprotocol\/(client|sdk|server)(\/|$)/u.test(wanted.specifier)
  },
  runtime: {
    // Its command line is a client like any other: it talks HTTP and sees neither store nor doors.
    allows: (wanted, file) =>
      isEffect(wanted) ||
      isNode(wanted) ||
      isThirdParty(wanted) ||
      isOurs(wanted, "domain") ||
      (!file.startsWith("packages/runtime/src/cli/") &&
        ["edge", "providers", "mcp"].some((name) => isOurs(wanted, name))),
    testsAllow: isTesting
  }
}

const forbiddenFolders = new Set(["utils", "helpers", "common", "lib", "shared", "types"])
const longestFile = 400

/** Files that may be longer, each with the reason why splitting it would make it harder to read. */
const longFiles: Readonly<Record<string, string>> = {}

/** One sentence for each broken rule. */
const violations = (
  files: ReadonlyArray<SourceFile>,
  dependencies: Readonly<Record<string, ReadonlyArray<string>>>
): ReadonlyArray<string> =>
  files.flatMap(({ file, text }) => [
    ...shapeViolations(file, text),
    ...importsOf(text, file).flatMap((wanted) => {
      const reason = importViolation(file, wanted, dependencies)
      return reason === undefined ? [] : [`${file} imports "${wanted.specifier}": ${reason}`]
    })
  ])

const shapeViolations = (file: string, text: string): ReadonlyArray<string> => {
  const folder = path.posix
    .dirname(file)
    .split("/")
    .find((name) => forbiddenFolders.has(name))
  const lines = text.split("\n").length - 1
  return [
    ...(folder === undefined ? [] : [`${file}: no folder may be called "${folder}"`]),
    ...(lines <= longestFile || file in longFiles
      ? []
      : [`${file} has ${lines} lines; split it, or list it with a reason`])
  ]
}

const importViolation = (
  file: string,
  wanted: Import,
  dependencies: Readonly<Record<string, ReadonlyArray<string>>>
): string | undefined => {
  const name = file.split("/")[1] ?? ""
  const room = rooms[name]
  if (room === undefined) return `packages/${name} has no rule in test/architecture.test.ts`
  const isTest = file.endsWith(".test.ts")
  if (/\.test(\.ts)?$/u.test(wanted.specifier)) return "nobody imports a test"
  if (wanted.specifier.startsWith(".")) return relativeViolation(file, wanted.specifier)
  if (!room.allows(wanted, file) && !(isTest && room.testsAllow(wanted, file))) {
    return `packages/${name} may not`
  }
  if (isTest || isNode(wanted) || isTesting(wanted)) return undefined
  const parts = wanted.specifier.split("/")
  const module = parts.slice(0, wanted.specifier.startsWith("@") ? 2 : 1).join("/")
  return dependencies[name]?.includes(module)
    ? undefined
    : `${module} is not among the dependencies of packages/${name}`
}

const relativeViolation = (file: string, specifier: string): string | undefined => {
  const target = path.posix.join(path.posix.dirname(file), specifier)
  const [packages, name] = file.split("/")
  if (!target.startsWith(`${packages}/${name}/src/`))
    return "a relative import stays in its package"
  if (!target.endsWith(".ts")) return "a relative import ends in .ts"
  if (name !== "providers") return undefined
  const from = providerOf(file)
  const to = providerOf(target)
  if (to === undefined || from === to || file === registry) return undefined
  if (from !== undefined && isNeutral(to, from)) return undefined
  return from === undefined || neutralRooms.has(from)
    ? "what providers have in common imports none of them"
    : "a provider does not import another one"
}

/** The one file that knows the providers. */
const registry = "packages/providers/src/catalog.ts"

/** `<service>/<room>` of what is common to providers of one service and knows none of them. */
const neutralRooms = new Set(["build/detection"])

const isNeutral = (room: string, from: string): boolean =>
  neutralRooms.has(room) && path.posix.dirname(room) === path.posix.dirname(from)

/**
 * `<service>/<provider>` of a file inside a provider's folder. What lies above those folders is common:
 * to a service's providers (`dns/Ask.ts`), or to those of several that have one backend (`edge/EdgeClient.ts`).
 */
const providerOf = (file: string): string | undefined =>
  /^packages\/providers\/src\/([^/]+\/[^/]+)\//u.exec(file)?.[1]

/** Static, dynamic and type imports, re-exports and `require`. */
const importsOf = (text: string, file: string): ReadonlyArray<Import> => {
  const found: Array<Import> = []
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) {
      node.forEach(visit)
    } else if (isRecord(node)) {
      const argument = Array.isArray(node.arguments) ? node.arguments[0] : undefined
      const isRequire = isRecord(node.callee) && node.callee.name === "require"
      const source = isRequire ? argument : node.source
      if (isRecord(source) && typeof source.value === "string") {
        found.push({ specifier: source.value, names: namesOf(node) })
      }
      Object.values(node).forEach(visit)
    }
  }
  visit(parseAst(text, { lang: "ts" }, file))
  return found
}

const namesOf = (node: Readonly<Record<string, unknown>>): ReadonlyArray<string> => {
  const specifiers = Array.isArray(node.specifiers) ? node.specifiers.filter(isRecord) : []
  const names = specifiers.map(({ imported, local, type }) =>
    type === "ExportSpecifier" ? local : imported
  )
  return names.map((name) => (isRecord(name) && typeof name.name === "string" ? name.name : "*"))
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

// The real house.

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const readJson = (file: string): unknown => JSON.parse(readFileSync(path.join(root, file), "utf8"))
const packages = readdirSync(path.join(root, "packages")).sort()

const sources: ReadonlyArray<SourceFile> = packages.flatMap((name) =>
  readdirSync(path.join(root, "packages", name, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => path.posix.join("packages", name, "src", file))
    .map((file) => ({ file, text: readFileSync(path.join(root, file), "utf8") }))
)

const dependencies = Object.fromEntries(
  packages.map((name) => {
    const manifest = readJson(`packages/${name}/package.json`)
    const listed = isRecord(manifest) ? manifest.dependencies : undefined
    return [name, isRecord(listed) ? Object.keys(listed) : []]
  })
)

describe("architecture", () => {
  it("no file breaks a rule", () => {
    assert.isAbove(sources.length, 10)
    assert.deepStrictEqual(violations(sources, dependencies), [])
  })

  it("every file that is excused for its length is long", () => {
    const long = sources.filter(({ text }) => text.split("\n").length - 1 > longestFile)
    const needless = Object.keys(longFiles).filter(
      (name) => !long.some(({ file }) => file === name)
    )
    assert.deepStrictEqual(needless, [])
  })

  const planted: ReadonlyArray<[file: string, text: string, reason: RegExp]> = [
    ["packages/domain/src/X.ts", `import fs from "node:fs"`, /domain may not/],
    ["packages/domain/src/X.ts", `import type { A } from "@deploy-mcp/edge/A"`, /domain may not/],
    ["packages/domain/src/X.ts", `import { it } from "vitest"`, /domain may not/],
    ["packages/domain/src/X.test.ts", `import "@deploy-mcp/runtime/A"`, /domain may not/],
    ["packages/edge/src/X.ts", `export * from "@deploy-mcp/domain/Git"`, /edge may not/],
    ["packages/edge/src/X.ts", `import { Effect } from "effect"`, /edge may not/],
    ["packages/edge/src/X.ts", `const x = import("@deploy-mcp/providers/catalog")`, /edge may not/],
    ["packages/providers/src/X.ts", `export { a } from "@deploy-mcp/edge/a"`, /providers may not/],
    ["packages/providers/src/X.ts", `import "left-pad"`, /left-pad is not among the dependencies/],
    ["packages/providers/src/git/a/A.ts", `import "../b/B.ts"`, /another one/],
    ["packages/providers/src/git/a/A.ts", `import "../../dns/a/A.ts"`, /another one/],
    ["packages/providers/src/build/detection/A.ts", `import "../b/B.ts"`, /imports none of them/],
    ["packages/providers/src/git/a/A.ts", `import "../../build/detection/A.ts"`, /another one/],
    ["packages/providers/src/edge/A.ts", `import "../deploy/b/B.ts"`, /imports none of them/],
    ["packages/providers/src/git/A.ts", `import "./b/B.ts"`, /imports none of them/],
    ["packages/mcp/src/tools/X.ts", `import "@modelcontextprotocol/server"`, /mcp may not/],
    ["packages/mcp/src/X.ts", `type A = import("@deploy-mcp/runtime/A").A`, /mcp may not/],
    ["packages/runtime/src/cli/X.ts", `import "@deploy-mcp/mcp/Server"`, /runtime may not/],
    ["packages/runtime/src/X.ts", `import "./Y.test.ts"`, /nobody imports a test/],
    ["packages/runtime/src/X.ts", `import "../../edge/src/main.ts"`, /stays in its package/],
    ["packages/runtime/src/X.ts", `import "../../../test/x.ts"`, /stays in its package/],
    ["packages/runtime/src/X.ts", `import "./Y"`, /ends in .ts/],
    ["packages/runtime/src/X.ts", `const x = require("left-pad")`, /left-pad is not among/],
    ["packages/attic/src/X.ts", `import "effect"`, /has no rule/],
    ["packages/edge/src/utils/X.ts", "", /"utils"/],
    ["packages/edge/src/X.ts", `const long = 1${"\n".repeat(longestFile + 1)}`, /401 lines/]
  ]
  it.each(planted)("refuses $0: $2", (file, text, reason) => {
    const found = violations([{ file, text }], dependencies)
    assert.strictEqual(found.length, 1, found.join("\n"))
    assert.match(found[0] ?? "", reason)
  })

  it("what the rules allow is allowed", () => {
    const allowed = [
      ["packages/domain/src/X.ts", `import { Schema } from "effect"; import "./Y.ts"`],
      ["packages/domain/src/X.test.ts", `import { it } from "@effect/vitest"`],
      ["packages/edge/src/X.ts", `import "node:fs"; import "@deploy-mcp/domain/node/NodeProtocol"`],
      ["packages/providers/src/catalog.ts", `import "./git/embedded/A.ts"; import "./git/b/B.ts"`],
      ["packages/providers/src/git/a/A.ts", `import "./B.ts"; import "@deploy-mcp/domain/Git"`],
      ["packages/providers/src/build/a/A.ts", `import "../detection/B.ts"; import "../C.ts"`],
      ["packages/providers/src/deploy/a/A.ts", `import "../../edge/EdgeClient.ts"`],
      ["packages/mcp/src/Server.ts", `import { McpServer } from "@modelcontextprotocol/server"`],
      ["packages/runtime/src/X.ts", `import "@deploy-mcp/mcp/Server"; import "node:fs"`]
    ].map(([file = "", text = ""]) => ({ file, text }))
    assert.deepStrictEqual(violations(allowed, dependencies), [])
  })
})

describe("package-lock.json", () => {
  it("names every optional package of every platform, without which npm ci refuses it", () => {
    const lock = readJson("package-lock.json")
    assert(isRecord(lock) && isRecord(lock.packages))
    const names = Object.keys(lock.packages)
    const missing = Object.values(lock.packages)
      .flatMap((entry) => (isRecord(entry) ? [entry.optionalDependencies] : []))
      .flatMap((optional) => (isRecord(optional) ? Object.keys(optional) : []))
      .filter((name) => !names.some((key) => key.endsWith(`node_modules/${name}`)))
    assert.deepStrictEqual(missing, [])
  })
})
