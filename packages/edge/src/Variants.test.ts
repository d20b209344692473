import { randomBytes } from "node:crypto"
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { brotliDecompressSync, gunzipSync } from "node:zlib"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "./testing/EdgeHarness.ts"
import { startSite } from "./testing/StaticSite.ts"
import { makeVariants } from "./Variants.ts"

const script = "export const answer = () => 42\n".repeat(400)
const large = "export const answer = () => 42\n".repeat(80_000)
const noise = Buffer.from(Uint8Array.from({ length: 4000 }, (_, at) => (at * at * 7919) % 251))

let site: Awaited<ReturnType<typeof startSite>>
beforeAll(async () => {
  site = await startSite(
    {
      "index.html": "<h1>app</h1>".repeat(200),
      "app.js": script,
      "large.js": large,
      "tiny.js": "let a = 1",
      "photo.png": noise,
      "404.html": "not here ".repeat(200)
    },
    true
  )
  const folder = join(site.harness.home, "edge", "compressed")
  await eventually("compressed forms", async () =>
    (await readdir(folder).catch(() => [])).some((name) => name.endsWith(".done"))
  )
})
afterAll(() => site.close())

const coded = (path: string, accept: string, more = {}, method = "GET") =>
  site.ask(path, { "accept-encoding": accept, ...more }, method)

describe("compressed forms of static files", () => {
  it("are served to whoever takes them, each as a representation of its own", async () => {
    const plain = await coded("/app.js", "")
    const br = await coded("/app.js", "gzip, deflate, br, zstd")
    const gzip = await coded("/app.js", "gzip")
    assert.strictEqual(plain.text, script)
    assert.notProperty(plain.headers, "content-encoding")
    assert.strictEqual(br.headers["content-encoding"], "br")
    assert.strictEqual(brotliDecompressSync(br.body).toString(), script)
    assert.strictEqual(gzip.headers["content-encoding"], "gzip")
    assert.strictEqual(gunzipSync(gzip.body).toString(), script)
    assert.strictEqual(new Set([plain, br, gzip].map((one) => one.headers.etag)).size, 3)
    for (const { body, headers } of [plain, br, gzip]) {
      assert.strictEqual(headers.vary, "Accept-Encoding")
      assert.strictEqual(headers["content-type"], "text/javascript; charset=utf-8")
      assert.strictEqual(headers["content-length"], String(body.length))
    }
    const head = await coded("/app.js", "br", {}, "HEAD")
    assert.deepEqual(
      [head.text, head.headers["content-length"], head.headers.etag],
      ["", br.headers["content-length"], br.headers.etag]
    )
  })

  it("follow the weights of Accept-Encoding", async () => {
    const cases = {
      "br;q=0.5, gzip": "gzip",
      "gzip;q=0.5, br;q=0.5": "br",
      "br;q=0, gzip": "gzip",
      "*": "br",
      "*;q=0": undefined,
      "br;q=0, *": "gzip",
      "GZIP ; Q=1": "gzip",
      "identity;q=1, gzip;q=0.5": undefined,
      "deflate, zstd": undefined,
      "br;q=x": undefined
    }
    for (const [accept, expected] of Object.entries(cases)) {
      const { headers } = await coded("/app.js", accept)
      assert.strictEqual(headers["content-encoding"], expected, accept)
    }
  })

  it("are answered with 304 by their own tag only, compared weakly", async () => {
    const br = (await coded("/app.js", "br")).headers.etag ?? ""
    const same = await coded("/app.js", "br", { "if-none-match": `W/${br}` })
    assert.deepEqual([same.status, same.headers.etag], [304, br])
    assert.strictEqual(same.headers.vary, "Accept-Encoding")
    assert.strictEqual((await coded("/app.js", "gzip", { "if-none-match": br })).status, 200)
    assert.strictEqual((await coded("/app.js", "", { "if-none-match": br })).status, 200)
  })

  it("have no parts: a range is one of the file as it is", async () => {
    const part = await coded("/app.js", "br", { range: "bytes=0-5" })
    assert.deepEqual([part.status, part.text], [206, "export"])
    assert.notProperty(part.headers, "content-encoding")
    assert.notProperty((await coded("/app.js", "br")).headers, "accept-ranges")
  })

  it("are there for large files, and for none that gain nothing", async () => {
    const { body, headers } = await coded("/large.js", "gzip")
    assert.strictEqual(headers["content-encoding"], "gzip")
    assert.strictEqual(gunzipSync(body).toString(), large)
    for (const path of ["/tiny.js", "/photo.png"]) {
      const { headers } = await coded(path, "br, gzip")
      assert.notProperty(headers, "content-encoding", path)
      assert.notProperty(headers, "vary", path)
    }
    const missing = await coded("/no.js", "br")
    assert.deepEqual([missing.status, missing.headers["content-encoding"]], [404, "br"])
  })

  it("are still there after a restart, and nothing is compressed again", async () => {
    const folder = join(site.harness.home, "edge", "compressed")
    const times = async () =>
      Promise.all(
        (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).mtimeMs)
      )
    const before = await times()
    await site.harness.restart()
    const { headers } = await coded("/large.js", "br")
    assert.strictEqual(headers["content-encoding"], "br")
    assert.deepEqual(await times(), before)
  })

  it("are bounded on disk, and what can't be made smaller is tried once", async () => {
    const folder = await mkdtemp(join(tmpdir(), "edge-variants-"))
    const stored = join(folder, "stored")
    let pruned = 0
    const variants = makeVariants({
      folder: stored,
      log: assert.fail,
      maxBytes: 10_000,
      onPruned: () => {
        pruned += 1
      }
    })
    const prepare = async (name: string, content: string | Buffer) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      await mkdir(join(folder, name))
      await writeFile(join(folder, name, "data.txt"), content)
      variants.prepare(join(folder, name), resolve)
      await promise
    }
    const marked = async () => (await readdir(stored)).some((name) => name.endsWith(".done"))
    await prepare("noise", randomBytes(4000))
    await eventually("a mark", marked)
    assert.strictEqual(pruned, 0)
    await prepare("text", randomBytes(6000).toString("hex"))
    await eventually("something to leave", () => pruned === 1)
    assert.isFalse(await marked())
    await variants.close()
    await rm(folder, { recursive: true })
  })
})

describe("a single-page application", () => {
  const html = "text/html,application/xhtml+xml,*/*;q=0.8"
  const page = "<h1>app</h1>".repeat(200)

  it("answers navigations to paths of its own with its page", async () => {
    for (const path of ["/orders/7", "/orders/", "/settings?tab=1"]) {
      const { headers, status, text } = await site.ask(path, { accept: html })
      assert.deepEqual([status, text], [200, page], path)
      assert.strictEqual(headers.vary, "Accept-Encoding, Accept")
      assert.strictEqual(headers["cache-control"], "no-cache")
      const { etag = "" } = headers
      const again = await site.ask(path, { accept: html, "if-none-match": etag })
      assert.strictEqual(again.status, 304)
    }
    const packed = await site.ask("/orders/7", { accept: html, "accept-encoding": "gzip" })
    assert.strictEqual(gunzipSync(packed.body).toString(), page)
    assert.strictEqual((await site.ask("/orders/7", { accept: html }, "HEAD")).status, 200)
  })

  it("says what the answer depends on, also where nothing is compressed", async () => {
    const tiny = await startSite({ "index.html": "tiny" }, true)
    const { headers, text } = await tiny.ask("/orders/7", { accept: html })
    assert.deepEqual([text, headers.vary], ["tiny", "Accept"])
    assert.notProperty((await tiny.ask("/")).headers, "vary")
    await tiny.close()
  })

  it("has nothing at paths of files, for programs, and for tricks", async () => {
    for (const path of ["/assets/gone.js", "/favicon.ico", "/.env", "/..%2fx", "//x", "/%00"]) {
      assert.strictEqual((await site.ask(path, { accept: html })).status, 404, path)
    }
    assert.strictEqual((await site.ask("/orders/7", { accept: "*/*" })).status, 404)
    assert.strictEqual((await site.ask("/orders/7")).status, 404)
    assert.strictEqual((await site.ask("/orders/7", { accept: html }, "POST")).status, 405)
  })
})
