import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { startSite } from "./testing/StaticSite.ts"

let site: Awaited<ReturnType<typeof startSite>>
let etag = ""
let modified = ""
beforeAll(async () => {
  site = await startSite({ "digits.txt": "0123456789", "404.html": "our own page" }, false)
  const { headers } = await site.ask("/digits.txt")
  etag = headers.etag ?? ""
  modified = headers["last-modified"] ?? ""
})
afterAll(() => site.close())

const shifted = (seconds: number) => new Date(Date.parse(modified) + seconds * 1000)
const earlier = () => shifted(-1).toUTCString()
const later = () => shifted(1).toUTCString()
const status = async (headers: Record<string, string>, method = "GET") =>
  (await site.ask("/digits.txt", headers, method)).status

describe("a request for a file on conditions", () => {
  it("tells when the file came to be served, by a date that is not in the future", async () => {
    assert.match(modified, /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/u)
    assert.isAtMost(Date.parse(modified), Date.now())
  })

  it("gets 304 for what it has, by any tag of a list or by date, HEAD too", async () => {
    for (const method of ["GET", "HEAD"]) {
      for (const known of [etag, `W/${etag}`, `"a,b", W/"c" ,${etag}`, "*"]) {
        assert.strictEqual(await status({ "if-none-match": known }, method), 304, known)
      }
      assert.strictEqual(await status({ "if-modified-since": modified }, method), 304)
      assert.strictEqual(await status({ "if-modified-since": later() }, method), 304)
      assert.strictEqual(await status({ "if-modified-since": earlier() }, method), 200)
    }
    const { headers, text } = await site.ask("/digits.txt", { "if-none-match": etag })
    assert.deepEqual([headers.etag, text], [etag, ""])
    assert.strictEqual(headers["cache-control"], "public, max-age=60")
  })

  it("reads all three forms of a date and no other", async () => {
    const date = shifted(0)
    const iso = date.toISOString()
    const [weekday, day, month, year, time] = modified.replace(",", "").split(" ")
    const long = date.toLocaleDateString("en", { weekday: "long", timeZone: "UTC" })
    const old = `${long}, ${day}-${month}-${year?.slice(2)} ${time} GMT`
    const plain = `${weekday} ${month} ${String(Number(day)).padStart(2)} ${time} ${year}`
    assert.strictEqual(await status({ "if-modified-since": old }), 304, old)
    assert.strictEqual(await status({ "if-modified-since": plain }), 304, plain)
    for (const none of [iso, "yesterday", "0", "Mon, 99 Foo 2026 00:00:00 GMT"]) {
      assert.strictEqual(await status({ "if-modified-since": none }), 200, none)
      assert.strictEqual(await status({ "if-unmodified-since": none }), 200, none)
    }
  })

  it("gets 412 when it was made for another one", async () => {
    for (const mine of [etag, `"other", ${etag}`, "*"]) {
      assert.strictEqual(await status({ "if-match": mine }), 200, mine)
    }
    // Compared strongly: a weak tag promises too little.
    for (const other of ['"other"', `W/${etag}`, "nonsense"]) {
      assert.strictEqual(await status({ "if-match": other }), 412, other)
    }
    assert.strictEqual(await status({ "if-unmodified-since": modified }), 200)
    assert.strictEqual(await status({ "if-unmodified-since": earlier() }), 412)
    const failed = await site.ask("/digits.txt", { "if-match": '"other"' })
    assert.strictEqual(JSON.parse(failed.text).error.code, "precondition_failed")
  })

  it("has its conditions looked at in the order of the standard", async () => {
    const other = '"other"'
    const cases: ReadonlyArray<readonly [Record<string, string>, number]> = [
      [{ "if-match": etag, "if-unmodified-since": earlier() }, 200],
      [{ "if-match": other, "if-none-match": etag }, 412],
      [{ "if-match": etag, "if-none-match": etag }, 304],
      [{ "if-none-match": other, "if-modified-since": later() }, 200],
      [{ "if-none-match": etag, "if-modified-since": earlier() }, 304],
      [{ "if-none-match": etag, range: "bytes=0-1" }, 304],
      [{ "if-match": other, range: "bytes=0-1" }, 412],
      [{ "if-match": etag, range: "bytes=20-" }, 416],
      [{ "if-none-match": other, range: "bytes=0-1" }, 206]
    ]
    for (const [headers, expected] of cases) {
      assert.strictEqual(await status(headers), expected, JSON.stringify(headers))
    }
  })

  it("gets its range only of the file that it has a part of", async () => {
    const range = "bytes=2-4"
    const text = async (ifRange: string) =>
      (await site.ask("/digits.txt", { range, "if-range": ifRange })).text
    assert.strictEqual(await text(etag), "234")
    assert.strictEqual(await text(modified), "234")
    for (const other of [`W/${etag}`, '"other"', later(), earlier(), "nonsense"]) {
      assert.strictEqual(await text(other), "0123456789", other)
    }
    const head = await site.ask("/digits.txt", { range }, "HEAD")
    assert.deepEqual([head.status, head.headers["content-length"]], [200, "10"])
    assert.strictEqual((await site.ask("/digits.txt", { range: "Bytes=2-4" })).text, "234")
  })

  it("is not looked at where there is no such file", async () => {
    const { headers, status, text } = await site.ask("/nope", { "if-none-match": "*" })
    assert.deepEqual([status, text], [404, "our own page"])
    assert.notProperty(headers, "last-modified")
    const [tag = ""] = [headers.etag]
    const again = await site.ask("/nope", { "if-none-match": tag, range: "bytes=0-1" })
    assert.deepEqual([again.status, again.text], [404, "our own page"])
  })
})
