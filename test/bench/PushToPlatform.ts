/** Pushes to a service of the platform, until it answers with what was pushed. */
import { rmSync } from "node:fs"
import type { Platform } from "../e2e/Platform.ts"
import type { Story, Target } from "./Pushes.ts"
import { untilAnswers } from "./UntilAnswers.ts"
import type { CpuMeter, Parts } from "./World.ts"

export const pushToPlatform = async (
  platform: Platform,
  story: Story,
  meter: CpuMeter,
  parts: Parts
): Promise<Target> => {
  let service = await newService(platform, story.kind)
  const { appsPort } = platform.ports()
  const pushOnce: Target["push"] = async ({ files, isShown }) => {
    const { name, tree, url } = service
    await tree.commit(files)
    const started = performance.now()
    const since = () => performance.now() - started
    let heard: number | undefined
    const pushing = tree.push(url, "HEAD:main", () => {
      heard ??= since()
    })
    const answered = untilAnswers({ port: appsPort, host: `${name}.localhost`, accepts: isShown })
    const pushed = await pushing
    if (pushed.code !== 0) throw new Error(pushed.output)
    parts.add("push heard", heard ?? 0)
    parts.add("push ended", since())
    const took = (await answered).at - started
    for (const { phase, ms } of (await platform.api.ended(name)).phases) parts.add(phase, ms)
    return took
  }
  const push: Target["push"] = async (version) => {
    const took = await meter.during(() => pushOnce(version))
    if (!story.isFirst) return took
    await remove(platform, service)
    service = await newService(platform, story.kind)
    return took
  }
  return { push, close: () => remove(platform, service) }
}

type Service = Awaited<ReturnType<typeof newService>>

let services = 0

const newService = async (platform: Platform, kind: string) => {
  const name = `${kind}-${++services}`
  const url = await platform.api.repository(name)
  await platform.api.createService({ repo: name, name })
  return { name, url, tree: await platform.workTree() }
}

const remove = async (platform: Platform, { name, tree }: Service) => {
  await platform.api.remove(name)
  rmSync(tree.directory, { recursive: true, force: true })
}
