import { assert, describe, it } from "vitest"
import { type EgressPolicy, parseAllowedRanges } from "./EgressPolicy.ts"
import { mayCall } from "./MayCall.ts"

const policy = (reach: EgressPolicy["reach"], allow = ""): EgressPolicy => ({
  reach,
  allow: parseAllowedRanges(allow).ranges
})

describe("a call", () => {
  it("may go to the public internet, or nowhere", () => {
    for (const address of ["8.8.8.8", "2606:4700:4700::1111"]) {
      assert.isTrue(mayCall(policy("public"), address, 443))
      assert.isFalse(mayCall(policy("none"), address, 443))
    }
    for (const address of ["10.0.0.5", "::1", "fd00::1", "203.0.113.80", "api.internal"]) {
      assert.isFalse(mayCall(policy("public"), address, 443), address)
    }
  })

  it.each(["public", "none"] as const)("may go where the operator allows it, reach %s", (reach) => {
    const allowed = policy(reach, "10.0.0.5:5432, 10.1.0.0/16")
    assert.isTrue(mayCall(allowed, "10.0.0.5", 5432))
    assert.isTrue(mayCall(allowed, "::ffff:10.0.0.5", 5432))
    assert.isFalse(mayCall(allowed, "10.0.0.5", 5433))
    assert.isFalse(mayCall(allowed, "10.0.0.6", 5432))
    assert.isTrue(mayCall(allowed, "10.1.255.255", 80))
    assert.isFalse(mayCall(allowed, "10.2.0.0", 80))
  })

  it("may not go to this host, unless one address and port of it is allowed", () => {
    const own = ["80.80.80.2", "10.1.0.1", "2606:4700::2"]
    const allowed = policy("public", "10.1.0.0/16, 80.80.80.2:5432")
    assert.isFalse(mayCall(allowed, "10.1.0.1", 80, own))
    assert.isTrue(mayCall(allowed, "10.1.0.2", 80, own))
    assert.isFalse(mayCall(allowed, "80.80.80.2", 80, own))
    assert.isFalse(mayCall(allowed, "64:ff9b::80.80.80.2", 80, own))
    assert.isTrue(mayCall(allowed, "80.80.80.2", 5432, own))
    assert.isFalse(mayCall(allowed, "2606:4700:0::2", 80, own))
  })

  it("may not go to another service, whatever range is allowed", () => {
    assert.isFalse(mayCall(policy("public", "10.0.0.0/8"), "10.231.0.4", 8080))
  })
})
