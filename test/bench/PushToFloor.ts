/** Deploys without a platform: push, check out, install, start, until the first 200. */
import { rmSync } from "node:fs"
import { join } from "node:path"
import { makeWorkTree } from "../e2e/WorkTree.ts"
import type { App, Floor } from "./Floor.ts"
import type { Story, Target, Version } from "./Pushes.ts"
import { untilAnswers } from "./UntilAnswers.ts"

export const pushToFloor = async (floor: Floor, { kind, isFirst }: Story): Promise<Target> => {
  let repository = await newRepository(floor, kind)
  let running: App | undefined
  let installed: string | undefined

  const deploy = async ({ isShown }: Version): Promise<number> => {
    const { name } = repository
    if (kind === "static") {
      await floor.checkOut(name, join(floor.folder, "site", name))
      const path = `/site/${name}/`
      return (await untilAnswers({ port: floor.port, host: "localhost", path, accepts: isShown }))
        .at
    }
    const directory = await floor.checkOut(name)
    const modules = "node_modules"
    if (kind === "express") {
      if (isFirst || installed === undefined) await floor.npmCi(directory)
      else await floor.link(join(installed, modules), join(directory, modules))
      installed = directory
    }
    const previous = running
    running = await floor.start(directory, "server.js", isShown)
    await previous?.stop()
    return running.readyAt
  }
  const push: Target["push"] = async (version) => {
    const { tree, url } = repository
    await tree.commit(version.files)
    const started = performance.now()
    const pushed = await tree.push(url)
    if (pushed.code !== 0) throw new Error(pushed.output)
    const took = (await deploy(version)) - started
    if (!isFirst) return took
    rmSync(tree.directory, { recursive: true, force: true })
    repository = await newRepository(floor, kind)
    return took
  }
  return { push, close: async () => running?.stop() }
}

let repositories = 0

const newRepository = async (floor: Floor, kind: string) => {
  const name = `${kind}-${++repositories}`
  const url = await floor.repository(name)
  return { name, url, tree: await makeWorkTree(floor.folder) }
}
