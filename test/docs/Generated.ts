/** Pages that come from the code. `npm run docs` writes them anew. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert } from "vitest"
import { root } from "../e2e/Platform.ts"

/** The file is exactly this text. */
export const isPage = (path: string, text: string): void => {
  const file = join(root, path)
  if (process.env.UPDATE === "1") writeFileSync(file, text)
  assert.strictEqual(readFileSync(file, "utf8"), text, `${path} is stale: npm run docs`)
}
