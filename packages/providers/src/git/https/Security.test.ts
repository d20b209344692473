/** The floor under this provider: where it refuses to go, and what it refuses to take. */
import { randomBytes } from "node:crypto"
import { readdir, readFile, stat } from "node:fs/promises"
import { join } from "node:path"
import { Git } from "@deploy-mcp/domain/Git"
import { CommitSha } from "@deploy-mcp/domain/model/Names"
import * as Provider from "@deploy-mcp/domain/Provider"
import { assert, describe, it, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { isHostName, isPublic } from "./Address.ts"
import {
  codeOf,
  commit,
  Elsewhere,
  ensure,
  failureIn,
  folder,
  host,
  main,
  provider,
  providerOn,
  repository,
  repositoryOf,
  run
} from "./GitHttps.world.ts"
import { internet } from "./Tunnel.ts"

describe("addresses", () => {
  it("of private, loopback, link-local, carrier and metadata ranges are refused", () => {
    const refused =
      "0.0.0.0 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.9.9.9 168.63.129.16 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.192 192.168.1.1 198.18.0.1 224.0.0.1 255.255.255.255 :: ::1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::127.0.0.1 64:ff9b::7f00:1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%lo ff02::1 2001::1 2001:db8::1 2002:7f00:1:: 127.1 0x7f000001 2130706433 localhost"
    for (const address of refused.split(" ")) assert.isFalse(isPublic(address), address)
    for (const address of ["140.82.121.3", "172.32.0.1", "2606:50c0:8000::153", "2a01:4f8::1"]) {
      assert.isTrue(isPublic(address), address)
    }
  })

  it("can't be written as names", () => {
    for (const name of ["127.0.0.1", "127.1", "0x7f.0x1", "localhost", "-a.test", "a..b", "a.b."]) {
      assert.isFalse(isHostName(name), name)
    }
    for (const name of ["[::1]", "a.test:22", "u@a.test", "a.test/b", "A.test", "a_b.test", ""]) {
      assert.isFalse(isHostName(name), name)
    }
    for (const name of ["github.com", "git.xn--bcher-kva.example", "a-b.c1.test"]) {
      assert.isTrue(isHostName(name), name)
    }
  })
})

layer(provider(), { excludeTestServices: true })("the way out", (it) => {
  it.effect("identities that are no public repository are refused by field", () =>
    Effect.gen(function* () {
      const { asked } = yield* Elsewhere
      const before = asked.length
      for (const [field, identity] of [
        ["host", { host: "127.0.0.1" }],
        ["host", { host: "user:password@git.example.test" }],
        ["host", { host: "git.example.test:22" }],
        ["host", { host: "-uploadpack.test" }],
        ["owner", { owner: "--upload-pack=x" }],
        ["owner", { owner: ".." }],
        ["owner", { owner: "a/b" }],
        ["name", { name: "a?b" }],
        ["name", { name: "a.git" }],
        ["name", { name: "a\nb" }]
      ] as const) {
        const failure = yield* failureIn(ensure(repositoryOf(identity)))
        assert.strictEqual(failure.code, "invalid_argument")
        assert.include(failure.cause, `repository's ${field} must`)
        assert.notInclude(failure.cause, "password")
      }
      assert.strictEqual(asked.length, before)
    })
  )

  it.effect("loopback is refused unless a test allows it", () =>
    Effect.gen(function* () {
      const there = yield* repository
      yield* commit(there, { a: "1" })
      yield* ensure(there.repo)
      const { asked, port } = yield* Elsewhere
      const before = asked.length
      const lookup = async () => [{ address: "127.0.0.1", family: 4 }]
      const failure = yield* failureIn(ensure(there.repo)).pipe(
        Effect.provide(providerOn({ ...internet, port, lookup }, {}))
      )
      assert.strictEqual(failure.code, "invalid_argument")
      assert.strictEqual(asked.length, before)
      const byName = yield* codeOf(ensure(repositoryOf({ host: "localhost" }))).pipe(
        Effect.provide(providerOn(undefined, {}))
      )
      assert.strictEqual(byName, "invalid_argument")
    })
  )

  it.effect("redirects are followed to public addresses and no others", () =>
    Effect.gen(function* () {
      const git = yield* Git
      const { detour, intruders, names, port } = yield* Elsewhere
      const there = yield* repository
      const sha = yield* commit(there, { a: "1" })
      const moved = repositoryOf({ name: "moved" })
      const to = (base: string) => {
        detour.answer = (url, response) => {
          if (!url.startsWith("/Owner/moved.git")) return false
          const location = base + url.replace("moved", there.name)
          response.writeHead(302, { Location: location }).end()
          return true
        }
      }
      to("https://other.example.test")
      assert.strictEqual(yield* git.head(moved, main), sha)
      yield* git.checkout(moved, sha, yield* folder)
      names.set("inside.example.test", () => ["127.0.0.2"])
      names.set("inside6.example.test", () => ["::1", "fe80::1", "::ffff:127.0.0.2"])
      for (const base of [
        "https://127.0.0.2",
        `https://127.0.0.2:${port}`,
        `https://other.example.test:${port}`,
        "https://inside.example.test",
        "https://inside6.example.test",
        "https://[::1]",
        "https://169.254.169.254",
        "http://other.example.test",
        "file://",
        "git://other.example.test"
      ]) {
        to(base)
        const failure = yield* failureIn(git.head(moved, main))
        assert.strictEqual(failure.code, "invalid_argument", base)
        assert.isFalse(failure.retryable)
      }
      detour.answer = null
      assert.strictEqual(intruders.count, 0)
    })
  )

  it.effect("a name that means a private address the next time is refused then", () =>
    Effect.gen(function* () {
      const git = yield* Git
      const { detour, intruders, names } = yield* Elsewhere
      const there = yield* repository
      yield* commit(there, { a: "1" })
      let lookups = 0
      names.set("rebind.example.test", () => {
        lookups += 1
        return [lookups === 1 ? "127.0.0.1" : "127.0.0.2"]
      })
      // The first answer is a good one, and makes git connect once more for its next question.
      detour.answer = (_url, response) => {
        response.shouldKeepAlive = false
        return false
      }
      const rebound = repositoryOf({ host: "rebind.example.test", name: there.name })
      assert.strictEqual(yield* codeOf(git.head(rebound, main)), "invalid_argument")
      detour.answer = null
      assert.strictEqual(lookups, 2)
      assert.strictEqual(intruders.count, 0)
      names.set(host, () => ["127.0.0.2"])
      assert.strictEqual(yield* codeOf(git.head(there.repo, main)), "invalid_argument")
      names.set(host, () => ["127.0.0.2", "127.0.0.1"])
      assert.isNotNull(yield* git.head(there.repo, main))
      names.set(host, () => ["127.0.0.1"])
      assert.strictEqual(intruders.count, 0)
    })
  )

  it.effect("a certificate of nobody we trust ends it", () =>
    Effect.gen(function* () {
      const { names } = yield* Elsewhere
      names.set("unsigned.example.test", () => ["127.0.0.1"])
      const id = repositoryOf({ host: "unsigned.example.test" })
      assert.strictEqual(yield* codeOf(ensure(id)), "unavailable")
      assert.strictEqual(
        yield* codeOf(ensure(repositoryOf({ host: "nowhere.example.test" }))),
        "invalid_argument"
      )
    })
  )

  it.effect("interruption ends git and its connections and leaves nothing", () =>
    Effect.gen(function* () {
      const git = yield* Git
      const { detour } = yield* Elsewhere
      const there = yield* repository
      const sha = yield* commit(there, { a: "1" })
      const into = join(yield* folder, "source")
      const { directory } = yield* Provider.Host
      for (const work of [git.checkout(there.repo, sha, into), git.branches(there.repo)]) {
        const reached = yield* Deferred.make<void>()
        const gone = yield* Deferred.make<void>()
        detour.answer = (url, response) => {
          if (!url.endsWith("/git-upload-pack")) return false
          response.once("close", () => Deferred.doneUnsafe(gone, Effect.void))
          Deferred.doneUnsafe(reached, Effect.void)
          return true
        }
        const fiber = yield* Effect.forkChild(work)
        yield* Deferred.await(reached)
        assert.isNotEmpty(yield* processesAt(directory))
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* processesAt(directory), [])
        yield* Deferred.await(gone)
      }
      detour.answer = null
      const left = yield* Effect.promise(async () => [
        ...(await readdir(join(directory, "tmp"))),
        ...(await readdir(join(directory, "mirrors"))).filter((name) =>
          name.includes(there.repo.id)
        ),
        ...(await readdir(join(into, "..")))
      ])
      assert.deepStrictEqual(left, [])
      yield* git.checkout(there.repo, sha, into)
    })
  )
})

/** Numbers of the processes whose home is that of the provider's git. */
const processesAt = (directory: string) =>
  Effect.promise(async () => {
    const found: Array<string> = []
    for (const process of await readdir("/proc")) {
      if (!/^\d+$/.test(process)) continue
      const environment = await readFile(`/proc/${process}/environ`, "utf8").catch(() => "")
      if (environment.includes(`HOME=${join(directory, "home")}\0`)) found.push(process)
    }
    return found
  })

const small = {
  max_fetch_bytes: 1024 * 1024,
  max_cache_bytes: 700 * 1024,
  max_source_bytes: 2 * 1024 * 1024,
  max_source_files: 20
}

layer(provider(small), { excludeTestServices: true })("limits", (it) => {
  it.effect("what is too large to fetch, to write, or to list is refused without a path", () =>
    Effect.gen(function* () {
      const git = yield* Git
      const { directory } = yield* Provider.Host
      const cases: ReadonlyArray<Record<string, string | Buffer>> = [
        { "random.bin": randomBytes(1.5 * 1024 * 1024) },
        { "zeros.bin": Buffer.alloc(4 * 1024 * 1024) },
        Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`file-${index}`, "x"]))
      ]
      for (const files of cases) {
        const there = yield* repository
        const sha = yield* commit(there, files)
        const into = join(yield* folder, "source")
        const failure = yield* failureIn(git.checkout(there.repo, sha, into))
        assert.strictEqual(failure.code, "source_too_large")
        for (const secret of [directory, into, "127.0.0.1", "http://"]) {
          assert.notInclude(JSON.stringify(failure), secret)
        }
        const left = yield* Effect.promise(async () => [
          ...(await readdir(join(into, ".."))),
          ...(await readdir(join(directory, "tmp"))),
          ...(await readdir(join(directory, "mirrors")))
        ])
        assert.deepStrictEqual(left, [])
      }
    })
  )

  it.effect("folders that hold each other many times over are refused", () =>
    Effect.gen(function* () {
      const git = yield* Git
      const there = yield* repository
      yield* commit(there, { a: "1" })
      const blob = yield* run(there.work, ["rev-parse", "HEAD:a"])
      let tree = ""
      for (let level = 0; level < 7; level += 1) {
        const entry = level === 0 ? `100644 blob ${blob}` : `040000 tree ${tree}`
        const lines = Array.from({ length: 10 }, (_, index) => `${entry}\tname-${index}\n`)
        tree = yield* run(there.work, ["mktree"], undefined, lines.join(""))
      }
      const made = yield* run(there.work, ["commit-tree", "-m", "test", tree])
      yield* run(there.work, ["push", "-q", there.bare, `${made}:refs/heads/bomb`])
      const into = join(yield* folder, "source")
      const bomb = git.checkout(there.repo, CommitSha.make(made), into)
      assert.strictEqual(yield* codeOf(bomb), "source_too_large")
      assert.deepStrictEqual(yield* Effect.promise(() => readdir(join(into, ".."))), [])
    })
  )

  it.effect("the mirrors that were not used for longest make room", () =>
    Effect.gen(function* () {
      const git = yield* Git
      const { directory } = yield* Provider.Host
      const ids = []
      for (let index = 0; index < 3; index += 1) {
        const there = yield* repository
        const sha = yield* commit(there, { "random.bin": randomBytes(300 * 1024) })
        yield* git.checkout(there.repo, sha, yield* folder)
        ids.push(there.repo.id)
      }
      const kept = yield* Effect.promise(() => readdir(join(directory, "mirrors")))
      assert.deepStrictEqual(
        kept.sort(),
        ids
          .slice(1)
          .map((id) => `${id}.git`)
          .sort()
      )
      const bytes = yield* Effect.promise(async () => {
        const names = await readdir(join(directory, "mirrors"), { recursive: true })
        const sizes = names.map(async (name) => (await stat(join(directory, "mirrors", name))).size)
        return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
      })
      assert.isAtMost(bytes, 700 * 1024)
    })
  )
})

layer(provider({ time_limit: "500 millis" }), { excludeTestServices: true })(
  "the time limit",
  (it) => {
    it.effect("a host that never answers is left", () =>
      Effect.gen(function* () {
        const { detour } = yield* Elsewhere
        const there = yield* repository
        detour.answer = () => true
        const failure = yield* failureIn(ensure(there.repo))
        detour.answer = null
        assert.strictEqual(failure.code, "unavailable")
        assert.include(failure.cause, "took too long")
      })
    )
  }
)
