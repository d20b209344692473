/** A network and mounts apart from this machine's, and a pair of links between the two. Linux, as root. */
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { randomInt } from "node:crypto"
import { Effect } from "effect"

/** A place with a network and mounts of its own, by the process that holds it open. */
export const island = (name: string) =>
  Effect.gen(function* () {
    const script = "mount -t tmpfs run /run && ip link set lo up && echo ready && exec cat"
    const holder = yield* Effect.acquireRelease(
      // It ends with us in any case: `cat` reads until we are gone.
      Effect.sync(() =>
        spawn("unshare", ["--net", "--mount", "--propagation", "private", "sh", "-c", script], {
          stdio: ["pipe", "pipe", "inherit"]
        })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    yield* Effect.callback<void>((resume) => {
      holder.stdout?.once("data", () => resume(Effect.void))
      holder.once("exit", () => resume(Effect.die("no namespaces for a Docker Engine")))
    })
    const namespaces = String(holder.pid)
    const [high, low] = [randomInt(256), randomInt(64) * 4]
    const [host, address] = [`10.213.${high}.${low + 1}`, `10.213.${high}.${low + 2}`]
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const ip = (...words: ReadonlyArray<string>) => execFileSync("ip", words)
        const inside = (...words: ReadonlyArray<string>) =>
          execFileSync("nsenter", [`--target=${namespaces}`, "--net", "ip", ...words])
        ip("link", "add", name, "type", "veth", "peer", "name", "up0", "netns", namespaces)
        ip("address", "add", `${host}/30`, "dev", name)
        ip("link", "set", name, "up")
        inside("address", "add", `${address}/30`, "dev", "up0")
        inside("link", "set", "up0", "up")
      }),
      () => Effect.sync(() => spawnSync("ip", ["link", "delete", name]))
    )
    return { address, host, namespaces }
  })
