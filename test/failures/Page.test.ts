/** A code without a sample, without a test or without its line on the page does not get in. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { isPage } from "../docs/Generated.ts"
import { root } from "../e2e/Platform.ts"
import { elsewhere } from "./Elsewhere.ts"
import { allCodes, renderFailures } from "./FailuresPage.ts"
import { requests } from "./Requests.ts"
import { mortal, samples } from "./Samples.ts"

describe("the catalogue of failures", () => {
  it("is the one in docs/failures.md", () => {
    isPage("docs/failures.md", renderFailures())
  })

  it("has each code triggered, by a sample here or by the test that is named", () => {
    const here = new Set([...samples, mortal, ...requests].map(({ code }) => code))
    assert.deepStrictEqual(
      allCodes.filter((code) => !here.has(code) && elsewhere[code] === undefined),
      [],
      "add a sample to Samples.ts or Requests.ts"
    )
    for (const [code, file] of Object.entries(elsewhere)) {
      const path = join(root, file)
      assert.isTrue(existsSync(path), file)
      assert.include(readFileSync(path, "utf8"), `"${code}"`, `${file} does not meet ${code}`)
      assert.isFalse(
        [...here].some((one) => one === code),
        `${code} has a sample already`
      )
    }
  })
})
