/** An npm registry for tests that has one package, `greeting`, and counts who asks for it. */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { Effect, type Scope } from "effect"

export interface PackageRegistry {
  readonly url: URL
  /** package.json's dependencies and a lockfile that fits. */
  readonly files: Readonly<Record<string, string>>
  /** Paths that were asked for. */
  readonly asked: ReadonlyArray<string>
}

/** `address`: where it listens. */
export const packageRegistry = (
  address: string,
  home: string
): Effect.Effect<PackageRegistry, never, Scope.Scope> =>
  Effect.gen(function* () {
    const folder = mkdtempSync(join(home, "registry-"))
    const manifest = { name: "greeting", version: "1.0.0", main: "index.js" }
    const contents = join(folder, "package")
    mkdirSync(contents)
    writeFileSync(join(contents, "package.json"), JSON.stringify(manifest))
    writeFileSync(join(contents, "index.js"), "module.exports = 'good morning'\n")
    execFileSync("tar", ["-C", folder, "-czf", join(folder, "greeting.tgz"), "package"])
    const tarball = readFileSync(join(folder, "greeting.tgz"))
    const integrity = `sha512-${createHash("sha512").update(tarball).digest("base64")}`
    const asked: Array<string> = []
    const server = createServer((request, response) => {
      const path = request.url ?? ""
      asked.push(path)
      if (path === "/greeting.tgz") return response.end(tarball)
      const dist = { integrity, tarball: `${url}greeting.tgz` }
      const versions = { "1.0.0": { ...manifest, dist } }
      response.end(JSON.stringify({ name: "greeting", "dist-tags": { latest: "1.0.0" }, versions }))
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, address, () => resume(Effect.void))
      }),
      () => Effect.sync(() => server.close())
    )
    const listening = server.address()
    const port = typeof listening === "object" ? listening?.port : undefined
    const url = new URL(`http://${address}:${port}/`)
    const dependencies = { greeting: "1.0.0" }
    const packages = {
      "": { dependencies },
      "node_modules/greeting": { version: "1.0.0", integrity }
    }
    return {
      url,
      asked,
      files: {
        "package.json": JSON.stringify({ dependencies, scripts: { start: "node server.js" } }),
        "package-lock.json": JSON.stringify({ lockfileVersion: 3, requires: true, packages })
      }
    }
  })
