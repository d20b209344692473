import { assert, describe, it } from "vitest"
import { parseAllowedRanges } from "./EgressPolicy.ts"

describe("what services may call beside the public internet", () => {
  it("is read from a list", () => {
    assert.deepStrictEqual(parseAllowedRanges(" 10.0.0.0/8, 192.168.1.5:5432\n172.16.4.0/24:80"), {
      ranges: [
        { address: "10.0.0.0", bits: 8, port: null },
        { address: "192.168.1.5", bits: 32, port: 5432 },
        { address: "172.16.4.0", bits: 24, port: 80 }
      ],
      problem: null
    })
    assert.deepStrictEqual(parseAllowedRanges(""), { ranges: [], problem: null })
  })

  it.each([
    ["db.internal:5432", /IPv4 address or range/],
    ["fd00::1", /IPv4 address or range/],
    ["10.0.0.256", /IPv4 address or range/],
    ["10.0.0.01", /IPv4 address or range/],
    ["10.0.0.1; accept", /IPv4 address or range/],
    ["0.0.0.0/0", /from \/8 to \/32/],
    ["10.0.0.0/33", /from \/8 to \/32/],
    ["10.0.0.5/24", /first one of its \/24/],
    ["10.0.0.5:0", /port must be/],
    ["10.0.0.5:65536", /port must be/],
    ["127.0.0.1:5432", /loopback is its own/],
    ["224.0.0.1", /multicast/],
    ["255.255.255.255", /multicast/]
  ])("refuses %s", (text, problem) => {
    const read = parseAllowedRanges(`10.9.9.9, ${text}`)
    assert.match(read.problem ?? "", problem)
    assert.deepStrictEqual(read.ranges, [])
  })
})
