import { existsSync } from "node:fs"
import { networkInterfaces } from "node:os"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { DockerEngine, isInstalled, layer } from "./DockerEngine.ts"

const addresses = () =>
  Object.values(networkInterfaces()).flatMap((link) => link?.map(({ address }) => address))

it.live.skipIf(!isInstalled)("a Docker Engine runs the image it was given and leaves nothing", () =>
  Effect.gen(function* () {
    const { host, socket, pid } = yield* Effect.gen(function* () {
      const { call, host, image, socket } = yield* DockerEngine
      assert.include(addresses(), host)
      const run = (name: string, ...command: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          const wanted = { Image: image, Cmd: command }
          const created = yield* call("POST", `/containers/create?name=${name}`, wanted)
          assert.strictEqual(created.status, 201, created.text)
          yield* call("POST", `/containers/${name}/start`)
        })
      yield* run("speaks", "sh", "-c", "node --version; busybox id -u")
      assert.include((yield* call("POST", "/containers/speaks/wait")).text, '"StatusCode":0')
      const { text } = yield* call("GET", "/containers/speaks/logs?stdout=true")
      assert.include(text, process.version)
      // It goes on until the engine ends.
      yield* run("stays", "sleep", "600")
      const stays = yield* call("GET", "/containers/stays/json")
      const pid = /"Pid":(\d+)/u.exec(stays.text)?.[1]
      assert.isTrue(existsSync(`/proc/${pid}`))
      return { host, socket, pid }
    }).pipe(Effect.provide(layer))
    assert.isFalse(existsSync(socket))
    assert.isFalse(existsSync(`/proc/${pid}`))
    assert.notInclude(addresses(), host)
  })
)
