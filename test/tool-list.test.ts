/** Every conversation pays for the tool list, so what it costs is counted as a model counts it. */
import { toolsFor } from "@deploy-mcp/mcp/Catalog"
import { listed } from "@deploy-mcp/mcp/Offer"
import { keys } from "@deploy-mcp/mcp/testing/CommandsDouble"
import { encode } from "gpt-tokenizer/encoding/o200k_base"
import { assert, describe, it } from "vitest"

describe("the tool list", () => {
  it("of a key that may do everything costs at most 6,000 tokens, and has at most 25 tools", () => {
    const tools = toolsFor(keys.dk_live_owner, ["deploy"])
    assert.isAtMost(tools.length, 25)
    assert.isAtMost(encode(JSON.stringify({ tools: tools.map(listed) })).length, 6000)
  })
})
