/** What can be said about the code without running it. Each check counts as one test. */
import { existsSync } from "node:fs"
import path from "node:path"
import { ensureBundles } from "./bundle.mjs"
import { environmentWithNode, findNode, npm, Problem, root, run } from "./project.mjs"

const effectDiagnostics = { name: "@effect/tsgo", version: "0.45.0" }

/** Runs all of them, prints each result, and resolves to `{ name, status, reason? }` for each. */
export const runChecks = async () => {
  const node = findNode()
  const env = environmentWithNode(node)
  const tool = (file, ...args) =>
    run([node, path.join(root, "node_modules", file), ...args], { env })
  return [
    await check("bundles", bundles),
    await check("types", () => tool("typescript/bin/tsc", "-p", ".")),
    await check("format and lint", () =>
      tool("@biomejs/biome/bin/biome", "check", "--error-on-warnings", ".")
    ),
    await check("effect diagnostics", () => diagnose(env))
  ]
}

const check = async (name, body) => {
  const startedAt = performance.now()
  const { code, output, skipped } = await body()
  const status = skipped ? "skipped" : code === 0 ? "passed" : "failed"
  const mark = { passed: "✓", failed: "✗", skipped: "↓" }[status]
  console.log(`${mark} ${name} (${Math.round(performance.now() - startedAt)} ms)`)
  if (status !== "passed") console.log(`${skipped ?? output.trimEnd()}\n`)
  return { name, status }
}

const bundles = () =>
  ensureBundles().then(
    () => ({ code: 0, output: "" }),
    (error) => ({ code: 1, output: error.message })
  )

/** In a folder of its own: its lockfile entries for other platforms would make `npm ci` fail. */
const diagnose = async (env) => {
  const folder = path.join(root, "node_modules/.cache", `effect-tsgo-${effectDiagnostics.version}`)
  const bin = path.join(folder, "node_modules/.bin/effect-tsgo")
  if (!existsSync(bin)) {
    const wanted = `${effectDiagnostics.name}@${effectDiagnostics.version}`
    try {
      const flags = ["--no-save", "--no-package-lock", "--ignore-scripts", "--prefix", folder]
      await npm(["install", ...flags, wanted])
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      return { skipped: `  ${wanted} could not be installed` }
    }
  }
  const flags = ["--project", "tsconfig.json", "--strict", "--severity", "error,warning"]
  return run([bin, "diagnostics", ...flags, "--format", "text"], { env })
}
