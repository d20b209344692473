import { assert, describe, it } from "vitest"
import { loopbackHosts, refusedHost } from "./Hosts.ts"

const allowed = new Set([...loopbackHosts, "deploy.example"])
const ok = (host: string | undefined, origin?: string) =>
  refusedHost({ host, origin }, allowed) === null

describe("hosts and origins", () => {
  it("loopback names and configured ones pass, with any port", () => {
    for (const host of ["localhost:8081", "127.0.0.1", "[::1]:8081", "deploy.example"]) {
      assert.isTrue(ok(host), host)
    }
    assert.isTrue(ok("localhost:8081", "http://localhost:3000"))
    assert.isTrue(ok("deploy.example", "https://deploy.example"))
  })

  it("everything else is refused, also the pages of deployed services", () => {
    for (const host of [
      undefined,
      "",
      "evil.example",
      "localhost.evil.example",
      "web.localhost:8081"
    ]) {
      assert.isFalse(ok(host), host)
    }
    for (const origin of ["https://evil.example", "http://web.localhost:8080", "null", "file://"]) {
      assert.isFalse(ok("localhost:8081", origin), origin)
    }
  })
})
