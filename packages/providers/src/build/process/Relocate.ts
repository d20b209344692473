/**
 * Programs in a `.venv` name their interpreter by its absolute path, which is another one when the
 * files are moved. Afterwards they look for it beside themselves.
 */
import { readdir, rename, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect } from "effect"
import { attempt } from "../BuildFault.ts"
import { readText } from "../detection/PackageJson.ts"
import { isDirectory } from "../detection/SourceTree.ts"

/** Nothing of the tenant may still be running. Does nothing where there is no `.venv`. */
export const relocate = (app: string): Effect.Effect<void, BuildError> =>
  Effect.gen(function* () {
    const folder = ".venv/bin"
    if (!(yield* isDirectory(app, folder))) return
    const bin = join(app, folder)
    const entries = yield* attempt("read the programs", () => readdir(bin, { withFileTypes: true }))
    for (const { name } of entries.filter((entry) => entry.isFile())) {
      const text = yield* readText(bin, name, maxScript).pipe(Effect.orElseSucceed(() => null))
      if (text === null || !named.test(text)) continue
      const path = join(bin, name)
      // A new file: the old one may have other names elsewhere.
      yield* attempt("relocate a program", async () => {
        await writeFile(`${path}.new`, text.replace(named, beside), { flag: "wx", mode: 0o755 })
        await rename(`${path}.new`, path)
      })
    }
  })

const maxScript = 1024 * 1024
const named = /^#!\/\S*\/\.venv\/bin\/python[\d.]*[ \t]*\n/u

/** For the shell a command, for Python a string. */
const beside = () => `#!/bin/sh\n'''exec' "$(dirname -- "$0")/python3" "$0" "$@"\n' '''\n`
