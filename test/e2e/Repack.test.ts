/** A repository that is repacked again and again while it is pushed to and cloned. */
import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, beforeAll, it } from "vitest"
import { eventually } from "./Eventually.ts"
import { type Platform, startPlatform } from "./Platform.ts"

/** Three objects each: more than are left loose. */
const pushes = 90

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform({ DEPLOY_MCP_GIT_INTERNAL_REPACK_EVERY: "20 millis" })
})
afterAll(() => platform?.dispose())

/** Files of the one repository by their paths, and their bytes; some may go away meanwhile. */
const found = () => {
  const bytesOf = (name: string) => statSync(name, { throwIfNoEntry: false })?.size ?? 0
  const repositories = readdirSync(join(platform.home, "git")).filter((name) => /^rep_/u.test(name))
  const folders = repositories.map((name) => join(platform.home, "git", name))
  const files: Array<string> = []
  for (const folder of folders) {
    for (const entry of entriesOf(folder)) {
      // What a repack leaves that was ended is swept away later, and does not count until then.
      if (/^\.?tmp[_-]/u.test(entry.name)) continue
      if (entry.isDirectory()) folders.push(join(folder, entry.name))
      else files.push(join(folder, entry.name))
    }
  }
  return { files, bytes: files.reduce((sum, name) => sum + bytesOf(name), 0) }
}

const entriesOf = (folder: string) => {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    return []
  }
}

it("takes every push and gives every clone", async () => {
  const url = await platform.api.repository("busy")
  const tree = await platform.workTree()
  let isPushing = true
  const cloning = (async () => {
    const outputs: Array<string> = []
    for (let clone = 0; isPushing; clone += 1) {
      const { code, output } = await tree.git("clone", "--quiet", url, `../clone-${clone}`)
      if (code !== 0) outputs.push(output)
    }
    return outputs
  })()
  let newest = ""
  const refused: Array<string> = []
  for (let push = 0; push < pushes; push += 1) {
    newest = await tree.commit({ file: `${push}` })
    const { code, output } = await tree.push(url)
    if (code !== 0) refused.push(output)
  }
  isPushing = false
  assert.deepStrictEqual([...refused, ...(await cloning)], [])
  const { owner } = await platform.api.whoami()
  const { files } = await eventually("it is repacked, and its size is what it is", async () => {
    const metrics = await (await fetch(`${platform.url()}/metrics`)).text()
    const now = found()
    const isSaid = metrics.includes(`deploy_mcp_repository_bytes{owner="${owner}"} ${now.bytes}\n`)
    const loose = now.files.filter((name) => /\/[0-9a-f]{38}$/u.test(name))
    const isRepacked = loose.length <= 250 && now.files.some((name) => name.endsWith(".pack"))
    return isRepacked && isSaid && now
  })
  const { stdout } = await tree.git("ls-remote", url, "refs/heads/main")
  assert.include(stdout, newest)
  const [repository = ""] = /^.*\.git(?=\/)/u.exec(files[0] ?? "") ?? []
  const { code, output } = await tree.git("--git-dir", repository, "fsck", "--full", "--strict")
  assert.strictEqual(code, 0, output)
}, 120_000)
