/**
 * Programs are started with argument vectors. A shell reads a line only where that line is the tenant's
 * own, inside the sandbox, or a constant of ours; each such file is named here.
 */
import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"
import { parseAst } from "vitest/node"

/** Files that hand a shell a line that is not written out right there, each with whose line it is. */
const lines: Readonly<Record<string, string>> = {
  "packages/edge/src/process/LaunchDirect.ts": "the tenant's start command, in its sandbox",
  "packages/edge/src/process/ServiceSandbox.ts": "the tenant's start command, in its sandbox",
  "packages/edge/src/process/Slot.ts": "our script for a parked sandbox; words come as arguments",
  "packages/edge/src/process/gvisor/Gvisor.ts":
    "our script that starts the tenant's command, in its sandbox",
  "packages/providers/src/build/docker/Dockerfile.ts": "the tenant's build command, in its image",
  "packages/providers/src/build/process/Sandbox.ts": "the tenant's build command, in its sandbox",
  "packages/providers/src/deploy/docker/Container.ts":
    "the tenant's start command, in its container"
}

type Node = Readonly<Record<string, unknown>>

const violationsIn = (file: string, text: string): ReadonlyArray<string> => {
  const ast = parseAst(text, { lang: file.endsWith(".mjs") ? "js" : "ts" }, file)
  const nodes = nodesIn(ast)
  const constants = new Set(nodes.flatMap(constantName))
  const namesShell = nodes.some((node) => isShell(stringOf(node)))
  const found = nodes.flatMap((node) => [
    ...importViolations(node),
    ...optionViolations(node),
    ...(namesShell ? lineViolations(node, constants) : [])
  ])
  return found.map((reason) => `${file}: ${reason}`)
}

/** `exec` and `execSync` take a line for a shell; by its whole, the module could be used unseen. */
const importViolations = (node: Node): ReadonlyArray<string> => {
  const from = isNode(node.source) ? stringOf(node.source) : requiredBy(node)
  if (from === undefined || !/^(?:node:)?child_process$/u.test(from)) return []
  if (node.type !== "ImportDeclaration") return ["child_process is imported by its names only"]
  return childrenOf(node.specifiers).flatMap((specifier) => {
    const name = isNode(specifier.imported) ? specifier.imported.name : "*"
    if (name === "*") return ["child_process is imported by its names only"]
    return name === "exec" || name === "execSync" ? [`${name} hands its line to a shell`] : []
  })
}

const requiredBy = (node: Node): string | undefined => {
  const isRequire =
    node.type === "CallExpression" && isNode(node.callee) && node.callee.name === "require"
  const [wanted] = isRequire ? childrenOf(node.arguments) : []
  return wanted === undefined ? undefined : stringOf(wanted)
}

const optionViolations = (node: Node): ReadonlyArray<string> => {
  if (node.type !== "Property" || !isNode(node.key) || !isNode(node.value)) return []
  const name = node.key.name ?? node.key.value
  const value = node.value.value
  return name === "shell" && (value === true || typeof value === "string")
    ? ["the option shell puts a shell between us and the program"]
    : []
}

const lineViolations = (node: Node, constants: ReadonlySet<string>): ReadonlyArray<string> => {
  if (node.type !== "ArrayExpression") return []
  const elements = childrenOf(node.elements)
  return elements.flatMap((element, at) => {
    if (!/^-[a-z]*c$/u.test(stringOf(element) ?? "")) return []
    const before = elements[at - 1]
    if (before !== undefined && !isShell(stringOf(before))) return []
    const line = elements[at + 1]
    const isConstant =
      line !== undefined &&
      (stringOf(line) !== undefined ||
        (line.type === "Identifier" && constants.has(String(line.name))))
    return isConstant ? [] : ["a shell gets a line that is not a constant"]
  })
}

const isShell = (word: string | undefined): boolean =>
  word !== undefined && /^(?:\/(?:usr\/)?bin\/)?(?:ba|da|a|k|z)?sh$/u.test(word)

/** Of a text without anything put into it. */
const stringOf = (node: Node): string | undefined => {
  if (typeof node.value === "string") return node.value
  if (node.type !== "TemplateLiteral" || childrenOf(node.expressions).length > 0) return undefined
  const [text] = childrenOf(node.quasis)
  return isNode(text?.value) ? String(text.value.cooked) : undefined
}

const constantName = (node: Node): ReadonlyArray<string> =>
  node.type === "VariableDeclarator" &&
  isNode(node.id) &&
  isNode(node.init) &&
  stringOf(node.init) !== undefined
    ? [String(node.id.name)]
    : []

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const childrenOf = (value: unknown): ReadonlyArray<Node> =>
  Array.isArray(value) ? value.filter(isNode) : []

const nodesIn = (value: unknown): ReadonlyArray<Node> => {
  if (Array.isArray(value)) return value.flatMap(nodesIn)
  return isNode(value) ? [value, ...Object.values(value).flatMap(nodesIn)] : []
}

// The real house, without what only tests run.

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const isProduct = (file: string) =>
  /\.(?:ts|mjs)$/u.test(file) &&
  !/\.(?:test|world)\.ts$|\/(?:testing|conformance)\//u.test(`/${file}`)
const folders = [
  "bin",
  ...readdirSync(path.join(root, "packages")).map((name) => `packages/${name}/src`)
]
const product = folders.flatMap((folder) =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
    .map((file) => path.posix.join(folder, file))
    .filter(isProduct)
)
const found = product.map((file) => ({
  file,
  violations: violationsIn(file, readFileSync(path.join(root, file), "utf8"))
}))

describe("shells", () => {
  it("read no line that is not the tenant's own", () => {
    assert.isAbove(product.length, 100)
    const unexcused = found.filter(({ file }) => !(file in lines))
    assert.deepStrictEqual(
      unexcused.flatMap(({ violations }) => violations),
      []
    )
  })

  it("are used in the files that are excused for it, for a line and nothing else", () => {
    const excused = found.filter(({ file }) => file in lines)
    assert.deepStrictEqual(
      excused.filter(({ violations }) => violations.length > 0).map(({ file }) => file),
      Object.keys(lines)
    )
    for (const { violations } of excused) {
      for (const each of violations) assert.include(each, "a line that is not a constant")
    }
  })

  const planted: ReadonlyArray<[text: string, reason: RegExp]> = [
    [`import { exec } from "node:child_process"`, /exec hands/],
    [`import { execSync as run } from "child_process"`, /execSync hands/],
    [`import * as child from "node:child_process"`, /by its names only/],
    [`import child from "node:child_process"`, /by its names only/],
    [`const { exec } = require("node:child_process")`, /by its names only/],
    [`const child = await import("node:child_process")`, /by its names only/],
    [`export { exec } from "node:child_process"`, /by its names only/],
    [`spawn("ls", [], { shell: true })`, /option shell/],
    [`spawn("ls", [], { "shell": "/bin/bash" })`, /option shell/],
    ["spawn(`sh`, [`-c`, `ls $" + "{name}`])", /not a constant/],
    [`run(["/bin/sh", "-c", line])`, /not a constant/],
    [`run(["bash", "-lc", "ls " + name])`, /not a constant/],
    [`const file = "/bin/sh"; run(file, ["-c", line])`, /not a constant/],
    [`({ entry: ["/bin/sh", "-c"], args: [line] })`, /not a constant/]
  ]
  it.each(planted)("refuses $0", (text, reason) => {
    const violations = violationsIn("packages/edge/src/X.ts", text)
    assert.strictEqual(violations.length, 1, violations.join("\n"))
    assert.match(violations[0] ?? "", reason)
  })

  it("what is constant or no shell is allowed", () => {
    const allowed = [
      `import { type ChildProcess, execFile, spawn } from "node:child_process"`,
      `spawn("git", ["-c", setting, "push"])`,
      `run(["/bin/sh", "-c", "exit 0"])`,
      'const script = `exec "$@"`; run([`/bin/sh`, `-c`, script, name])',
      `spawn("ls", [name], { shell: false })`
    ]
    for (const text of allowed)
      assert.deepStrictEqual(violationsIn("packages/edge/src/X.ts", text), [])
  })
})
