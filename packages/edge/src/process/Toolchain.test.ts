import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { findToolchain } from "./Toolchain.ts"

describe("a toolchain", () => {
  let place = ""
  beforeAll(async () => {
    place = await mkdtemp(join(tmpdir(), "edge-toolchain-"))
    for (const path of ["opt/bin", "opt/lib", "opt/include", "p/.bin", "p/node_modules/tool/bin"]) {
      await mkdir(join(place, path), { recursive: true })
    }
    for (const file of [
      "p/node_modules/tool/package.json",
      "p/node_modules/tool/bin/tool",
      "p/loose"
    ]) {
      await writeFile(join(place, file), "")
    }
    await symlink("../node_modules/tool/bin/tool", join(place, "p/.bin/tool"))
    await symlink("../loose", join(place, "p/.bin/loose"))
  })
  afterAll(() => rm(place, { recursive: true, force: true }))
  const find = (...path: ReadonlyArray<string>) =>
    findToolchain({ path, directory: "/srv/artifact", home: join(place, "home") })

  it("is bound whole where it is installed as one", async () => {
    const { binds, path } = await find(join(place, "opt/bin"))
    assert.deepStrictEqual(binds, [{ source: join(place, "opt"), target: join(place, "opt") }])
    assert.deepStrictEqual(path, [join(place, "opt/bin")])
  })
  it("comes with the packages that its links lead to, and not with a whole project", async () => {
    const { binds } = await find(join(place, "p/.bin"))
    const targets = binds.map(({ target }) => target.slice(place.length)).sort()
    assert.deepStrictEqual(targets, ["/p/.bin", "/p/loose", "/p/node_modules/tool"])
  })
  it("never shows the home, and is part of the artifact where it lies in it", async () => {
    const { binds, path, refused } = await find(
      place,
      "/srv/artifact/node_modules/.bin",
      "/usr/bin"
    )
    assert.deepStrictEqual(binds, [])
    assert.deepStrictEqual(refused, [place])
    assert.deepStrictEqual(path, ["/app/node_modules/.bin", "/usr/bin"])
  })
})
