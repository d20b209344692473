import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { FilePath, IdempotencyKey, ServiceName } from "@deploy-mcp/domain/model/Names"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { filesOf } from "./Tarball.ts"
import { against, codeOf, planOf, web } from "./testing/CommandWorld.ts"

const files = (contents: Readonly<Record<string, string>>) =>
  Object.entries(contents).map(([path, text]) => ({
    path: FilePath.make(path),
    content: Buffer.from(text)
  }))
const shop = ServiceName.make("shop")

describe("deploy_files", () => {
  it.live("makes repository, service and commit, and deploys it; again only what changed", () =>
    against(({ asOwner, deployments, repositories, services }) =>
      Effect.gen(function* () {
        const deploy = (page: string) =>
          asOwner(services.deployFiles({ name: shop, source: files({ page }) }))
        const wait = asOwner(
          deployments.wait({ name: shop, timeoutMs: 20_000, onChange: () => Effect.void })
        ).pipe(Effect.map(({ deployment }) => deployment))
        const words = yield* planOf(deploy("A"))
        assert.include(words.join("; "), "creates the repository internal/calm-otter/shop")
        assert.include(words.join("; "), "creates the service 'shop'")
        assert.lengthOf(yield* asOwner(repositories.list), 1)
        const first = yield* deploy("A")
        assert.isTrue(first.created)
        const live = yield* wait
        assert.deepStrictEqual([live.status, live.commit], ["live", first.commit])
        const again = yield* deploy("A")
        assert.deepStrictEqual([again.created, again.commit], [false, first.commit])
        const second = yield* deploy("B")
        assert.notStrictEqual(second.commit, first.commit)
        assert.strictEqual((yield* wait).status, "live")
        const all = yield* asOwner(deployments.list({ name: shop, limit: 10 }))
        assert.deepStrictEqual(
          all.map(({ cause, commit }) => [cause, commit]),
          [
            ["push", second.commit],
            ["create", first.commit]
          ]
        )
      })
    )
  )

  it.live("to a service that is there commits to its branch; a key makes it happen once", () =>
    against(({ asOwner, create, list, services, settled }) =>
      Effect.gen(function* () {
        yield* create()
        const idempotencyKey = IdempotencyKey.make("once")
        const input = { name: web, source: files({ page: "A" }), idempotencyKey }
        const first = yield* asOwner(services.deployFiles(input))
        assert.isFalse(first.created)
        yield* settled()
        yield* asOwner(services.deployFiles({ name: web, source: files({ page: "B" }) }))
        yield* settled()
        const repeated = yield* asOwner(services.deployFiles(input))
        assert.strictEqual(repeated.commit, first.commit)
        assert.lengthOf(yield* list, 2)
        const other = asOwner(services.deployFiles({ ...input, source: files({ page: "C" }) }))
        assert.strictEqual(yield* codeOf(other), "idempotency_conflict")
        const none = asOwner(services.deployFiles({ name: web, source: [] }))
        assert.strictEqual(yield* codeOf(none), "invalid_argument")
      })
    )
  )
})

describe("a tarball", () => {
  const packed = (fill: (folder: string) => void, ...options: ReadonlyArray<string>) => {
    const folder = mkdtempSync(join(tmpdir(), "deploy-mcp-tar-"))
    fill(folder)
    const bytes = execFileSync("tar", ["-cf", "-", ...options, "-C", folder, "."])
    rmSync(folder, { recursive: true, force: true })
    return bytes
  }
  const long = `${"d".repeat(80)}/${"e".repeat(80)}`

  for (const [format, ...options] of [
    ["gnu", "--format=gnu"],
    ["pax, gzipped", "--format=pax", "-z"],
    ["ustar", "--format=ustar"]
  ]) {
    it.effect(`of format ${format} gives its files, long names and modes`, () =>
      Effect.gen(function* () {
        const bytes = packed(
          (folder) => {
            mkdirSync(join(folder, long), { recursive: true })
            writeFileSync(join(folder, long, "f.txt"), "deep")
            writeFileSync(join(folder, "run.sh"), "x".repeat(1000), { mode: 0o755 })
          },
          ...options
        )
        const found = (yield* filesOf(bytes)).toSorted((a, b) => (a.path < b.path ? -1 : 1))
        assert.deepStrictEqual(
          found.map(({ path, content, executable }) => [String(path), content.length, executable]),
          [
            [`${long}/f.txt`, 4, false],
            ["run.sh", 1000, true]
          ]
        )
      })
    )
  }

  it.effect("with a link, a path that leaves it, or that is damaged is refused", () =>
    Effect.gen(function* () {
      const link = packed((folder) => symlinkSync("/etc/passwd", join(folder, "link")))
      const git = packed((folder) => {
        mkdirSync(join(folder, ".git"))
        writeFileSync(join(folder, ".git", "config"), "")
      })
      const good = packed((folder) => writeFileSync(join(folder, "a"), "x".repeat(600)))
      for (const bytes of [
        link,
        git,
        good.subarray(0, 1100),
        Buffer.from("no archive, but long enough".repeat(40)),
        Buffer.from([0x1f, 0x8b, 1, 2, 3])
      ]) {
        assert.strictEqual(yield* codeOf(filesOf(bytes)), "invalid_argument")
      }
    })
  )
})
