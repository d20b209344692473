/** Services in other languages, pushed and asked: their installations are seen inside the sandbox. */
import { execFileSync } from "node:child_process"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { sampleFiles } from "../../packages/providers/src/build/process/BuildSamples.ts"
import { type Platform, startPlatform } from "./Platform.ts"

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(() => platform.dispose())

/** A machine without the language says so; nothing else may keep a sample from being served. */
const installed = (program: string): boolean => {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

describe("languages", () => {
  const samples = [
    ["python", "python3", /^Hello from Flask, version 1 salut\n$/u],
    ["go", "go", /^Hello from Go, version 1, [0-9a-f-]{36}\n$/u]
  ] as const
  for (const [name, program, answer] of samples) {
    it(`a ${name} project is pushed and answers`, async () => {
      const url = await platform.api.repository(name)
      await platform.api.createService({ repo: name, name, env_vars: { GREETING: "salut" } })
      const tree = await platform.workTree()
      await tree.commit(sampleFiles(name))
      const pushed = await tree.push(url)
      if (!installed(program)) return assert.include(pushed.output, "toolchain_missing")
      assert.match(pushed.output, new RegExp(`${name}#\\d+.*: live \\(`, "u"))
      assert.match((await platform.get(name)).body, answer)
    }, 180_000)
  }

  it("a stop leaves nothing", () => platform.stop())
})
