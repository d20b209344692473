import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import {
  type AskOptions,
  dial,
  type Harness,
  idOf,
  stageOf,
  startHarness,
  staticRelease
} from "./testing/EdgeHarness.ts"

let harness: Harness
let folder = ""
const large = Buffer.alloc(3 * 1024 * 1024, "large file ")

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "edge-site-"))
  const root = join(folder, "site")
  await mkdir(join(root, "docs"), { recursive: true })
  await mkdir(join(root, ".well-known"))
  await mkdir(join(root, ".git"))
  await mkdir(join(folder, "site-secret"))
  await mkdir(join(root, "empty"))
  const files: Record<string, string | Buffer> = {
    "index.html": "<h1>home</h1>",
    "about.html": "about",
    "docs/index.html": "docs",
    "app.js": "let a = 1",
    "a b.txt": "with a space",
    "digits.txt": "0123456789",
    "large.bin": large,
    ".env": "SECRET=1",
    ".git/config": "secret",
    ".well-known/security.txt": "mail us",
    "../site-secret/key": "secret",
    "../outside.txt": "secret"
  }
  for (const [name, content] of Object.entries(files)) await writeFile(join(root, name), content)
  await symlink("../outside.txt", join(root, "leaves.txt"))
  await symlink("../site-secret", join(root, "leaving"))
  await symlink("digits.txt", join(root, "stays.txt"))
  const withPage = join(folder, "with-page")
  await mkdir(withPage)
  await writeFile(join(withPage, "404.html"), "our own page")

  harness = await startHarness()
  await harness.control.snapshot(
    stageOf(1, [staticRelease(1, root)], 1),
    stageOf(1, [staticRelease(2, withPage)], 2, { stage: idOf("stg", 2), hostnames: ["page"] })
  )
  await harness.control.state(idOf("rel", 1), "healthy")
  await harness.control.state(idOf("rel", 2), "healthy")
})
afterAll(async () => {
  await harness.close()
  await rm(folder, { recursive: true, force: true })
})

const ask = (path: string, options?: AskOptions) => harness.get(path, options)

describe("a static release", () => {
  it("serves files and folders with their type", async () => {
    const home = await ask("/")
    assert.strictEqual(home.text, "<h1>home</h1>")
    assert.strictEqual(home.headers["content-type"], "text/html; charset=utf-8")
    assert.strictEqual(home.headers["cache-control"], "no-cache")
    const script = await ask("/app.js?v=1")
    assert.strictEqual(script.headers["content-type"], "text/javascript; charset=utf-8")
    assert.match(script.headers["cache-control"] ?? "", /^public, max-age=\d+$/u)
    assert.strictEqual((await ask("/a%20b.txt")).text, "with a space")
    assert.strictEqual((await ask("/docs/")).text, "docs")
    assert.strictEqual((await ask("/about")).text, "about")
    assert.strictEqual((await ask("/stays.txt")).text, "0123456789")
    assert.strictEqual((await ask("/.well-known/security.txt")).text, "mail us")
    const moved = await ask("/docs?page=2")
    assert.strictEqual(moved.status, 301)
    assert.strictEqual(moved.headers.location, "/docs/?page=2")
    // The second time from memory.
    assert.strictEqual((await ask("/")).text, "<h1>home</h1>")
  })

  it("streams what does not fit into memory", async () => {
    const answer = await ask("/large.bin")
    assert.isTrue(answer.body.equals(large))
    assert.strictEqual(answer.headers["content-length"], String(large.length))
    const part = await ask("/large.bin", { headers: { range: "bytes=1048570-2097160" } })
    assert.strictEqual(part.status, 206)
    assert.isTrue(part.body.equals(large.subarray(1048570, 2097161)))
  })

  it("answers 304 to a client that has it, by the content and not by time", async () => {
    const { etag } = (await ask("/digits.txt")).headers
    assert.match(etag ?? "", /^"[\w-]+"$/u)
    for (const known of [etag, `"other", ${etag}`, `W/${etag}`, "*"]) {
      const answer = await ask("/digits.txt", { headers: { "if-none-match": known } })
      assert.strictEqual(answer.status, 304, known)
      assert.strictEqual(answer.headers.etag, etag)
      assert.strictEqual(answer.text, "")
    }
    const other = await ask("/digits.txt", { headers: { "if-none-match": '"other"' } })
    assert.strictEqual(other.status, 200)
    assert.strictEqual((await ask("/stays.txt")).headers.etag, etag)
  })

  it("serves one range, refuses an impossible one and ignores what it does not know", async () => {
    const range = async (value: string, more = {}) => {
      const answer = await ask("/digits.txt", { headers: { range: value, ...more } })
      return [answer.status, answer.text, answer.headers["content-range"]]
    }
    assert.deepEqual(await range("bytes=2-4"), [206, "234", "bytes 2-4/10"])
    assert.deepEqual(await range("bytes=7-"), [206, "789", "bytes 7-9/10"])
    assert.deepEqual(await range("bytes=-3"), [206, "789", "bytes 7-9/10"])
    assert.deepEqual(await range("bytes=-30"), [206, "0123456789", "bytes 0-9/10"])
    assert.deepEqual(await range("bytes=8-99"), [206, "89", "bytes 8-9/10"])
    assert.deepEqual(await range("bytes=10-"), [416, "", "bytes */10"])
    assert.deepEqual(await range("bytes=-0"), [416, "", "bytes */10"])
    for (const unknown of ["bytes=4-2", "bytes=-", "lines=1-2", "bytes=0-1,3-4"]) {
      assert.deepEqual(await range(unknown), [200, "0123456789", undefined], unknown)
    }
    const { etag } = (await ask("/digits.txt")).headers
    assert.deepEqual(await range("bytes=0-1", { "if-range": etag }), [206, "01", "bytes 0-1/10"])
    const changed = await range("bytes=0-1", { "if-range": '"other"' })
    assert.deepEqual(changed, [200, "0123456789", undefined])
  })

  it("answers HEAD without a body and nothing but reading", async () => {
    for (const path of ["/digits.txt", "/large.bin", "/nope"]) {
      const get = await ask(path)
      const head = await ask(path, { method: "HEAD" })
      assert.strictEqual(head.status, get.status, path)
      assert.strictEqual(head.headers["content-length"], get.headers["content-length"], path)
      assert.strictEqual(head.text, "")
    }
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const answer = await ask("/", { method })
      assert.strictEqual(answer.status, 405, method)
      assert.strictEqual(answer.headers.allow, "GET, HEAD")
    }
  })

  it("gives nothing away that is not below its root or is hidden", async () => {
    const paths = [
      "/../outside.txt",
      "/docs/../../outside.txt",
      "/%2e%2e/outside.txt",
      "/..%2foutside.txt",
      "/docs/..%5c..%5coutside.txt",
      "/docs\\..\\..\\outside.txt",
      "/%252e%252e/outside.txt",
      "/index.html%00.txt",
      "/docs%2findex.html",
      "/.env",
      "/%2eenv",
      "/.git/config",
      "/docs/.well-known/x",
      "/leaves.txt",
      "/leaving/key",
      "/leaving/",
      "/%E0%A4%A",
      "//docs",
      "/docs//index.html",
      "/index.html/",
      "/empty/",
      "/nope"
    ]
    for (const path of paths) {
      const connection = await dial(harness.edge.appsPort)
      connection.write(`GET ${path} HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n`)
      const text = await connection.closed()
      assert.match(text, /^HTTP\/1\.1 40[04] /u, path)
      assert.notInclude(text, "secret", path)
      assert.notInclude(text.toLowerCase(), "location:", path)
    }
  })

  it("shows its own 404 page, or ours", async () => {
    const own = await ask("/nope", { host: "page.localhost" })
    assert.deepEqual([own.status, own.text], [404, "our own page"])
    const ours = await ask("/nope", { headers: { accept: "text/html" } })
    assert.include(ours.text, "/nope")
    assert.strictEqual(JSON.parse((await ask("/nope")).text).error.code, "not_found")
  })

  it("that is not there fails instead of going live", async () => {
    await harness.control.snapshot(
      stageOf(2, [staticRelease(3, join(folder, "absent"))], 3, {
        stage: idOf("stg", 3),
        hostnames: []
      })
    )
    const failed = await harness.control.state(idOf("rel", 3), "failed")
    assert.strictEqual(failed.failure?.code, "start_failed")
  })
})
