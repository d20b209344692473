/** What our git door adds to a push that deploys nothing. */
import { makeWorkTree, type WorkTree } from "../e2e/WorkTree.ts"
import { row } from "./Numbers.ts"
import { type Benchmark, cpuMeter, interleave } from "./World.ts"

export const gitPush: Benchmark = {
  id: "git",
  run: async (world) => {
    const platform = await world.platform()
    const meter = cpuMeter(platform)
    const pusher = (tree: WorkTree, url: string) => async (turn: number) => {
      await tree.commit({ "file.txt": `change ${turn}\n` })
      const started = performance.now()
      const pushed = await tree.push(url)
      if (pushed.code !== 0) throw new Error(pushed.output)
      return performance.now() - started
    }
    const ours = pusher(await platform.workTree(), await platform.api.repository("only-git"))
    const floor = pusher(
      await makeWorkTree(world.floor.folder),
      await world.floor.repository("only-git")
    )
    await ours(-1)
    await floor(-1)
    const samples = await interleave(
      world.times(40),
      (turn) => meter.during(() => ours(turn)),
      floor
    )
    return [
      row({
        what: "git push of a small commit",
        ...samples,
        floorIs: "push over git http-backend, with a password and the same checks, without hooks",
        budget: { ratio: 1.15 },
        cpu: meter.each()
      })
    ]
  }
}
