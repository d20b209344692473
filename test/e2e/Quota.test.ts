/** An owner's repositories stay within their quota: a push that is too much leaves nothing behind. */
import { randomBytes } from "node:crypto"
import { readdirSync } from "node:fs"
import { afterAll, assert, beforeAll, it } from "vitest"
import { runCli } from "./CommandLine.ts"
import { type Platform, startPlatform } from "./Platform.ts"

const env = { DEPLOY_MCP_REPOSITORY_QUOTA: "1", DEPLOY_MCP_ARTIFACT_QUOTA: "0" }
const kibibyte = 1024

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform(env)
})
afterAll(() => platform?.dispose())

/** What can't be compressed to less. */
const noise = (size: number) => randomBytes((size * 3) / 4).toString("base64")

const uses = async () =>
  (await platform.api.whoami()).platform.filter((line) => line.startsWith("Repositories have"))

/** Every file in the object stores of all repositories. */
const objects = () =>
  readdirSync(platform.home, { recursive: true, encoding: "utf8" }).filter((name) =>
    /\/rep_[^/]+\.git\/objects\/.*\//u.test(name)
  )

it("is told by the push that would need more, and none of it is kept", async () => {
  const url = await platform.api.repository("one")
  const tree = await platform.workTree()
  const first = await tree.commit({ data: noise(1250 * kibibyte) })
  assert.strictEqual((await tree.push(url)).code, 0)
  assert.deepStrictEqual(await uses(), ["Repositories have 1 of 1 MiB."])
  const other = await platform.api.repository("two")
  const { owner } = await platform.api.whoami()
  const doctor = await runCli(platform, ["doctor"], platform.folder)
  assert.match(
    doctor.stdout,
    new RegExp(
      String.raw`! quotas +repositories of 1 MiB an owner: ${owner} 1 MiB \(9\d %\)\n.*DEPLOY_MCP_REPOSITORY_QUOTA`,
      "u"
    )
  )
  assert.include(doctor.stdout, "artifacts without a quota: nobody has any")
  const before = objects()

  await tree.commit({ data: noise(800 * kibibyte) })
  const refused = await tree.push(url)
  assert.notStrictEqual(refused.code, 0)
  assert.match(
    refused.lines.join("\n"),
    /^quota_exceeded: This adds \d+ KiB, and the owner's repositories have \d+ KiB of the 1024 KiB that they may have\. Delete a repository/mu
  )
  assert.include(refused.output, "pre-receive hook declined")
  assert.deepStrictEqual(objects(), before)
  const remote = await tree.git("ls-remote", url, "refs/heads/main")
  assert.include(remote.stdout, first)

  // All of them count, whatever the door.
  assert.notStrictEqual((await tree.push(other)).code, 0)
  const files = { "index.html": noise(600 * kibibyte) }
  const { cause, code } = await platform.api.refused("deploy_files", { name: "three", files })
  assert.strictEqual(code, "quota_exceeded")
  assert.match(cause, /^This adds 600 KiB/u)
  assert.deepStrictEqual(objects(), before)

  // What adds nothing, or little, goes on.
  const tag = await tree.push(url, `${first}:refs/heads/again`)
  assert.strictEqual(tag.code, 0, tag.output)
  assert.strictEqual((await tree.push(url, ":refs/heads/again")).code, 0)

  await platform.api.call("delete_repo", { name: "one", confirm: "one" })
  const later = await tree.push(other)
  assert.strictEqual(later.code, 1, "its history has both")
  await tree.git("checkout", "--quiet", "--orphan", "fresh")
  await tree.commit({ data: noise(300 * kibibyte) })
  const small = await tree.push(other)
  assert.strictEqual(small.code, 0, small.output)
})
