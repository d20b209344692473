import { existsSync, readdirSync } from "node:fs"
import { chmod, writeFile } from "node:fs/promises"
import type { IncomingMessage } from "node:http"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { Git } from "@deploy-mcp/domain/Git"
import { BranchName } from "@deploy-mcp/domain/model/Names"
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Stream } from "effect"
import {
  client,
  commit,
  evilCommit,
  get,
  git,
  main,
  noiseOf,
  origin,
  pushBody,
  rawPost,
  repository,
  repositoryThat,
  send,
  text,
  until,
  workTree,
  world
} from "./GitPush.world.ts"

layer(world({}), { excludeTestServices: true })("git over HTTP", (it) => {
  it.effect("a first push, a clone, a fetch, and a forced push back to where it was", () =>
    Effect.gen(function* () {
      const { repo, url, updates } = yield* repository
      const work = yield* workTree
      const a = yield* commit(work, { "index.html": "one" })
      const pushed = yield* git(work, "push", url, "HEAD:main")
      assert.strictEqual(pushed.code, 0, pushed.stderr)
      assert.match(pushed.stderr, /remote: main is at [0-9a-f]{40}/)

      const copy = `${work}-copy`
      assert.strictEqual((yield* git(work, "clone", url, copy)).code, 0)
      assert.strictEqual(yield* text(join(copy, "index.html")), "one")

      const b = yield* commit(work, { "index.html": "two" })
      assert.strictEqual((yield* git(work, "push", url, "HEAD:main")).code, 0)
      assert.strictEqual((yield* git(copy, "pull")).code, 0)
      assert.strictEqual(yield* text(join(copy, "index.html")), "two")
      assert.strictEqual((yield* git(work, "clone", "--depth=1", url, `${copy}-2`)).code, 0)

      assert.strictEqual((yield* git(work, "push", url, `${a}:main`)).code, 1)
      const forced = yield* git(work, "push", "--force", url, `${a}:main`)
      assert.strictEqual(forced.code, 0, forced.stderr)
      assert.deepStrictEqual(updates(), [
        { branch: main, to: a },
        { branch: main, to: b },
        { branch: main, to: a }
      ])
      assert.strictEqual(yield* Git.use((git) => git.head(repo, main)), a)

      yield* git(work, "push", url, `${a}:main`)
      assert.lengthOf(updates(), 3, "a push that moves nothing is not told")
      assert.strictEqual((yield* git(work, "push", url, ":main")).code, 0)
      assert.deepStrictEqual(updates().slice(3), [{ branch: main, to: null }])
      assert.isNull(yield* Git.use((git) => git.head(repo, main)))
    })
  )

  it.effect("the pusher reads each line while the next one is still to come", () =>
    Effect.gen(function* () {
      const more = yield* Deferred.make<void>()
      const { url } = yield* repositoryThat(() =>
        Stream.concat(
          Stream.make("building\u001b[2J"),
          Stream.fromEffect(Effect.as(Deferred.await(more), "live"))
        )
      )
      const work = yield* workTree
      yield* commit(work, { a: "1" })
      const push = client(work, ["push", url, "HEAD:main"])
      yield* until(() => push.stderr().includes("remote: building[2J"))
      assert.notInclude(push.stderr(), "live")
      assert.isNull(push.process.exitCode)
      yield* Deferred.succeed(more, undefined)
      assert.strictEqual(yield* push.exit, 0)
      assert.match(push.stderr(), /remote: live/)
    })
  )

  it.effect("a push succeeds although its progress dies", () =>
    Effect.gen(function* () {
      const { repo, url } = yield* repositoryThat(() => Stream.die("no progress"))
      const work = yield* workTree
      const sha = yield* commit(work, { a: "1" })
      const pushed = yield* git(work, "push", url, "HEAD:main")
      assert.strictEqual(pushed.code, 0)
      assert.match(pushed.stderr, /remote: Your push is stored/)
      assert.strictEqual(yield* Git.use((git) => git.head(repo, main)), sha)
    })
  )

  it.effect("a pusher that goes away interrupts the progress, and the refs have moved", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<void>()
      const { repo, url } = yield* repositoryThat(() =>
        Stream.concat(Stream.make("waiting"), Stream.never).pipe(
          Stream.ensuring(Deferred.succeed(interrupted, undefined))
        )
      )
      const work = yield* workTree
      const sha = yield* commit(work, { a: "1" })
      const push = client(work, ["push", url, "HEAD:main"])
      yield* until(() => push.stderr().includes("remote: waiting"))
      push.kill()
      yield* Deferred.await(interrupted)
      assert.strictEqual(yield* Git.use((git) => git.head(repo, main)), sha)
    })
  )

  it.effect("tokens: none, wrong, of another repository, read only, as user name", () =>
    Effect.gen(function* () {
      const mine = yield* repository
      const other = yield* repository
      const work = yield* workTree
      yield* commit(work, { a: "1" })
      const none = yield* get(`${mine.bare}/info/refs?service=git-upload-pack`)
      assert.strictEqual(none.status, 401)
      assert.strictEqual(none.headers["www-authenticate"], 'Basic realm="Deploy MCP"')

      const wrong = yield* git(work, "push", mine.as("x:mlg_wrong"), "HEAD:main")
      assert.notStrictEqual(wrong.code, 0)
      assert.match(wrong.stderr, /Authentication failed/)

      for (const address of [mine.bare, `${origin(mine.bare)}/git/nobody/nothing.git`]) {
        const foreign = yield* git(
          work,
          "push",
          address.replace("//", `//x:${other.write}@`),
          "HEAD:main"
        )
        assert.match(foreign.stderr, /not found/, address)
      }
      const readOnly = mine.as(`x:${mine.read}`)
      const refused = yield* git(work, "push", readOnly, "HEAD:main")
      assert.notStrictEqual(refused.code, 0)
      assert.match(refused.stderr, /remote: This token can only read[\s\S]*403/)
      assert.strictEqual((yield* git(work, "ls-remote", readOnly)).code, 0)
      // A reader who asks for the write service directly gets no further.
      const post = yield* send(`${mine.bare}/git-receive-pack`, {
        method: "POST",
        auth: `x:${mine.read}`,
        body: Buffer.from("0000")
      })
      assert.strictEqual(post.status, 403)
      assert.strictEqual((yield* git(work, "push", mine.as(mine.write), "HEAD:main")).code, 0)
      assert.deepStrictEqual(other.updates(), [])
    })
  )

  it.effect("nothing but the three addresses of the smart protocol is served", () =>
    Effect.gen(function* () {
      const { bare, write } = yield* repository
      const auth = `x:${write}`
      const status = (path: string, method = "GET") =>
        Effect.map(send(`${bare}${path}`, { method, auth }), (reply) => reply.status)
      for (const path of ["/HEAD", "/config", "/objects/info/packs", "/../../x/HEAD", ""]) {
        assert.strictEqual(yield* status(path), 404, path)
      }
      assert.strictEqual(yield* status("/info/refs"), 400)
      assert.strictEqual(yield* status("/info/refs?service=git-evil"), 400)
      assert.strictEqual(yield* status("/git-receive-pack"), 405)
      assert.strictEqual(yield* status("/info/refs?service=git-upload-pack", "DELETE"), 405)
    })
  )

  it.effect("only branches and tags with plain names can be pushed", () =>
    Effect.gen(function* () {
      const { repo, url, updates } = yield* repository
      const work = yield* workTree
      const sha = yield* commit(work, { a: "1" })
      const refused = (ref: string, reason: RegExp) =>
        Effect.gen(function* () {
          const { code, stderr } = yield* git(work, "push", url, `HEAD:${ref}`)
          assert.strictEqual(code, 1, ref)
          assert.match(stderr, reason)
        })
      yield* refused("refs/internal/x", /hidden ref/)
      yield* refused("refs/notes/x", /remote: refs\/notes\/x: only branches and tags/)
      yield* refused("refs/heads/a b".replace(" ", "\u00a0"), /remote: .*use only letters/)
      yield* refused("refs/heads/a+b", /remote: refs\/heads\/a\+b: use only letters/)
      yield* refused("refs/heads/-x", /must not start with '-'/)
      yield* refused(`refs/heads/${"x".repeat(201)}`, /at most 200 characters/)
      assert.deepStrictEqual(yield* Git.use((git) => git.branches(repo)), [])

      assert.strictEqual((yield* git(work, "push", url, "HEAD:refs/tags/v1.0+1")).code, 0)
      assert.deepStrictEqual(updates(), [], "a tag moves no branch")
      assert.strictEqual((yield* git(work, "push", url, "HEAD:feature/a.b_c-1")).code, 0)
      assert.deepStrictEqual(yield* Git.use((git) => git.branches(repo)), [
        { branch: BranchName.make("feature/a.b_c-1"), commit: sha }
      ])
      assert.strictEqual(updates()[0]?.to, sha)
    })
  )

  it.effect("a hidden ref is not shown", () =>
    Effect.gen(function* () {
      const { repo, url, directory } = yield* repository
      const work = yield* workTree
      const sha = yield* commit(work, { a: "1" })
      yield* git(work, "push", url, "HEAD:main")
      yield* git(join(directory, `${repo.id}.git`), "update-ref", "refs/internal/x", sha)
      const listed = yield* git(work, "ls-remote", url)
      assert.include(listed.stdout, "refs/heads/main")
      assert.notInclude(listed.stdout, "internal")
    })
  )

  it.effect("a tree that holds .git or .. is refused", () =>
    Effect.gen(function* () {
      const { repo, url } = yield* repository
      const work = yield* workTree
      yield* commit(work, { a: "1" })
      for (const name of [".git", "..", ".GIT", "git~1"]) {
        const evil = yield* evilCommit(work, name)
        const { code, stderr } = yield* git(work, "push", "--force", url, `${evil}:refs/heads/main`)
        assert.notStrictEqual(code, 0, name)
        assert.match(stderr, /fsck error|unpack/, name)
      }
      assert.isNull(yield* Git.use((git) => git.head(repo, main)))
    })
  )

  it.effect("hooks and configuration in the pushed tree have no effect", () =>
    Effect.gen(function* () {
      const { url } = yield* repository
      const work = yield* workTree
      const mark = join(work, "ran")
      const hook = `#!/bin/sh\ntouch ${mark}\n`
      yield* commit(work, {
        "hooks/post-receive": hook,
        "hooks/pre-receive": hook,
        config: `[core]\n\thooksPath = ${work}/hooks\n`,
        ".gitattributes": "* filter=evil\n",
        ".gitconfig": `[filter "evil"]\n\tsmudge = touch ${mark}\n`
      })
      yield* Effect.promise(() => chmod(join(work, "hooks/post-receive"), 0o755))
      assert.strictEqual((yield* git(work, "push", url, "HEAD:main")).code, 0)
      assert.isFalse(existsSync(mark))
    })
  )

  it.effect("a push of 2,000 files, chunked, comes back whole", () =>
    Effect.gen(function* () {
      const { repo, url } = yield* repository
      const work = yield* workTree
      const files = Object.fromEntries(
        Array.from({ length: 2_000 }, (_, n) => [
          `d${n % 40}/f${n}.txt`,
          `${n}\n`.repeat(200 + (n % 300))
        ])
      )
      const noise = Buffer.from(
        Array.from({ length: 3_000_000 }, (_, n) => (n * 2654435761) >>> 23)
      )
      yield* Effect.promise(() => writeFile(join(work, "noise"), noise))
      const sha = yield* commit(work, files)
      const pushed = yield* git(work, "-c", "core.compression=0", "push", url, "HEAD:main")
      assert.strictEqual(pushed.code, 0, pushed.stderr)
      const into = `${work}-out`
      yield* Git.use((git) => git.checkout(repo, sha, into))
      assert.strictEqual(
        (yield* git(work, "diff", "--no-index", "--stat", "--", ".", into)).stdout.includes("d0"),
        false
      )
      assert.strictEqual(yield* text(join(into, "d7/f7.txt")), files["d7/f7.txt"])
      assert.lengthOf(readdirSync(join(into, "d3")), 50)
    })
  )

  it.effect("pushes to two branches at once both arrive", () =>
    Effect.gen(function* () {
      const { repo, url } = yield* repository
      const work = yield* workTree
      yield* commit(work, { a: "1" })
      yield* git(work, "branch", "one")
      yield* commit(work, { a: "2" })
      yield* git(work, "branch", "two")
      const codes = yield* Effect.all(
        ["one", "two"].map((branch) => git(work, "push", url, branch)),
        { concurrency: 2 }
      )
      assert.deepStrictEqual(
        codes.map(({ code }) => code),
        [0, 0]
      )
      assert.lengthOf(yield* Git.use((git) => git.branches(repo)), 2)
    })
  )

  it.effect("a client cut off in the middle of a pack leaves the repository sound", () =>
    Effect.gen(function* () {
      const { repo, url, bare, write, directory, updates } = yield* repository
      const work = yield* workTree
      const noise = noiseOf(500_000)
      yield* Effect.promise(() => writeFile(join(work, "noise"), noise))
      const sha = yield* commit(work, { a: "1" })
      const body = yield* pushBody(work, sha)
      const objects = join(directory, `${repo.id}.git`, "objects")
      const incoming = () => readdirSync(objects).some((name) => name.startsWith("tmp_objdir"))

      const half = rawPost(`${bare}/git-receive-pack`, `x:${write}`, {})
      half.write(body.subarray(0, body.length / 2))
      yield* until(incoming)
      half.destroy()
      yield* until(() => !incoming())
      assert.isNull(yield* Git.use((git) => git.head(repo, main)))
      assert.strictEqual(
        (yield* git(join(directory, `${repo.id}.git`), "fsck", "--strict")).code,
        0
      )

      assert.strictEqual((yield* git(work, "push", url, "HEAD:main")).code, 0)
      assert.deepStrictEqual(updates(), [{ branch: main, to: sha }])
    })
  )

  it.effect("Expect: 100-continue, chunks and gzip", () =>
    Effect.gen(function* () {
      const { repo, bare, write } = yield* repository
      const work = yield* workTree
      const sha = yield* commit(work, { a: "1" })
      const body = yield* pushBody(work, sha)
      const expecting = rawPost(`${bare}/git-receive-pack`, `x:${write}`, {
        expect: "100-continue",
        "content-encoding": "gzip"
      })
      const reply = yield* Effect.callback<string>((done) => {
        expecting.on("continue", () => expecting.end(gzipSync(body)))
        expecting.on("response", (response: IncomingMessage) => {
          let text = ""
          response.on("data", (more) => {
            text += String(more)
          })
          response.on("end", () => done(Effect.succeed(text)))
        })
        expecting.flushHeaders()
      })
      assert.include(reply, "ok refs/heads/main")
      assert.strictEqual(yield* Git.use((git) => git.head(repo, main)), sha)
    })
  )
})

layer(world({ max_push_bytes: 100_000 }), { excludeTestServices: true })(
  "git over HTTP with a small limit",
  (it) => {
    it.effect("a push over the limit hears git's reason, one far over it is cut", () =>
      Effect.gen(function* () {
        const { repo, url } = yield* repository
        const work = yield* workTree
        for (const [bytes, reason] of [
          [150_000, /remote: fatal: pack exceeds maximum allowed size/],
          [2_000_000, /./]
        ] as const) {
          const noise = Buffer.from(
            Array.from({ length: bytes }, (_, n) => (n * 2654435761) >>> 23)
          )
          yield* Effect.promise(() => writeFile(join(work, "noise"), noise))
          yield* commit(work, { a: String(bytes) })
          const { code, stderr } = yield* git(
            work,
            "-c",
            "core.compression=0",
            "push",
            url,
            "HEAD:main"
          )
          assert.notStrictEqual(code, 0)
          assert.match(stderr, reason)
        }
        assert.isNull(yield* Git.use((git) => git.head(repo, main)))
      })
    )
  }
)
