import { Effect } from "effect"
import { describe, it } from "vitest"
import { renderCli } from "./CliPage.ts"
import { isPage } from "./Generated.ts"

describe("the pages that are made from the code", () => {
  it("docs/cli.md has each command, as its help shows it", async () => {
    isPage("docs/cli.md", await Effect.runPromise(renderCli))
  })
})
