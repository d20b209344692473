/** Pushes as the bytes that reach the platform, so that each can come twice, late, and before the one it follows. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { WorkTree } from "./WorkTree.ts"

export interface Delivery {
  readonly branch: string
  readonly commit: string
  /** Its place among the pushes of its branch. */
  readonly index: number
  readonly body: Buffer
}

/** What a push of HEAD sends to a repository whose `branch` is at `from`; null: it has none yet. */
export const deliveryOf = async (
  tree: WorkTree,
  branch: string,
  index: number,
  from: string | null
): Promise<Delivery> => {
  const commit = (await tree.git("rev-parse", "HEAD")).stdout.trim()
  const file = join(tree.directory, ".git", `push-${index}.bundle`)
  const range = from === null ? "HEAD" : `${from}..HEAD`
  const { code, output } = await tree.git("bundle", "create", "--quiet", "--version=2", file, range)
  if (code !== 0) throw new Error(output)
  const bundle = readFileSync(file)
  // A bundle is a few lines, an empty one, and the pack that a push sends.
  const pack = bundle.subarray(bundle.indexOf("\n\n") + 2)
  const command = `${from ?? "0".repeat(40)} ${commit} refs/heads/${branch}\0 report-status`
  const length = (Buffer.byteLength(command) + 4).toString(16).padStart(4, "0")
  return {
    branch,
    commit,
    index,
    body: Buffer.concat([Buffer.from(`${length}${command}0000`), pack])
  }
}

/** Sends it, and hangs up once git has said whether the branch moved. Rejects when nobody said so. */
export const deliver = async (pushUrl: string, { body }: Delivery): Promise<void> => {
  const { username, password, origin, pathname } = new URL(pushUrl)
  const response = await fetch(`${origin}${pathname}/git-receive-pack`, {
    method: "POST",
    headers: {
      authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`,
      "content-type": "application/x-git-receive-pack-request"
    },
    body
  })
  let answer = ""
  if (!response.ok || response.body === null) throw new Error(`${response.status}`)
  for await (const chunk of response.body) {
    answer += Buffer.from(chunk).toString("latin1")
    if (/(?:ok|ng) refs\/heads\//u.test(answer)) return
  }
  throw new Error(`git did not say what became of it: ${answer}`)
}
