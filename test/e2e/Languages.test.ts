/** Services in other languages, pushed and asked: their installations are seen inside the sandbox. */
import { execFileSync } from "node:child_process"
import { statSync } from "node:fs"
import { dirname } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { sampleFiles } from "../../packages/providers/src/build/BuildSamples.ts"
import { type Platform, startPlatform } from "./Platform.ts"

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(() => platform.dispose())

const answerOf = (line: string): string | null => {
  try {
    return execFileSync("sh", ["-c", line], { encoding: "utf8" }).trim()
  } catch {
    return null
  }
}

/**
 * A machine without the language says so, and so does a root platform without bubblewrap whose
 * services may not enter the language's folder. Nothing else may keep a sample from being served.
 */
const usable = (question: string): boolean => {
  const folder = answerOf(question)
  if (folder === null) return false
  if (process.getuid?.() !== 0 || answerOf("command -v bwrap") !== null) return true
  for (let at = folder; at !== "/"; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false
  }
  return true
}

describe("languages", () => {
  const samples = [
    [
      "python",
      "python3 -c 'import sys; print(sys.base_prefix)'",
      /^Hello from Flask, version 1 salut\n$/u
    ],
    ["go", "go env GOROOT", /^Hello from Go, version 1, [0-9a-f-]{36}\n$/u]
  ] as const
  for (const [name, question, answer] of samples) {
    it(`a ${name} project is pushed and answers`, async () => {
      const url = await platform.api.repository(name)
      await platform.api.createService({ repo: name, name, env_vars: { GREETING: "salut" } })
      const tree = await platform.workTree()
      await tree.commit(sampleFiles(name))
      const pushed = await tree.push(url)
      if (!usable(question)) return assert.match(pushed.output, /toolchain_missing/u, pushed.output)
      assert.match(pushed.output, new RegExp(`${name}#\\d+.*: live \\(`, "u"), pushed.output)
      assert.match((await platform.get(name)).body, answer)
    }, 180_000)
  }

  it("a stop leaves nothing", () => platform.stop())
})
