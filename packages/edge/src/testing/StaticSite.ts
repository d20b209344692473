/** One static release under an edge of its own, with the files that a test names. */
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import {
  type Answer,
  type AskOptions,
  idOf,
  stageOf,
  startHarness,
  staticRelease
} from "./EdgeHarness.ts"

export const startSite = async (files: Readonly<Record<string, string | Buffer>>, spa: boolean) => {
  const root = await realpath(await mkdtemp(join(tmpdir(), "edge-site-")))
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), content)
  }
  const harness = await startHarness()
  const release = staticRelease(1, root)
  const workload = { kind: "static", root, spa } as const
  await harness.control.snapshot(stageOf(1, [{ ...release, workload }], 1))
  await harness.control.state(idOf("rel", 1), "healthy")
  return {
    harness,
    ask: (path: string, headers: AskOptions["headers"] = {}, method = "GET"): Promise<Answer> =>
      harness.get(path, { headers, method }),
    close: async () => {
      await harness.close()
      await rm(root, { recursive: true, force: true })
    }
  }
}
