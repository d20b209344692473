/** Programs of a moved `.venv`, with a stand-in for the interpreter that tells what it was given. */
import { execFileSync } from "node:child_process"
import { chmodSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { makeBench } from "./BuildBench.ts"
import { relocate } from "./Relocate.ts"

const program = "#!/app/.venv/bin/python3.11\nprint(1)\n"

const write = (directory: string, name: string, text: string) => {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, name), text)
  chmodSync(join(directory, name), 0o755)
}

describe("relocate", () => {
  it.live("lets programs find the interpreter beside them", () =>
    Effect.gen(function* () {
      const app = (yield* makeBench()).source({})
      const bin = join(app, ".venv/bin")
      write(bin, "python3", '#!/bin/sh\necho "$1" "$2"\n')
      write(bin, "tool", program)
      write(bin, "other", "#!/bin/sh\necho other\n")
      yield* relocate(app)
      yield* relocate(app)
      renameSync(app, `${app}-moved`)
      const moved = join(`${app}-moved`, ".venv/bin")
      const said = execFileSync(join(moved, "tool"), ["argument"], { encoding: "utf8" })
      assert.strictEqual(said, `${join(moved, "tool")} argument\n`)
      assert.strictEqual(readFileSync(join(moved, "other"), "utf8"), "#!/bin/sh\necho other\n")
    })
  )

  it.live("follows no link out of the project", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const outside = bench.source({})
      write(join(outside, "bin"), "tool", program)
      const app = bench.source({})
      symlinkSync(outside, join(app, ".venv"))
      yield* relocate(app)
      const linked = bench.source({})
      mkdirSync(join(linked, ".venv/bin"), { recursive: true })
      symlinkSync(join(outside, "bin/tool"), join(linked, ".venv/bin/tool"))
      yield* relocate(linked)
      assert.strictEqual(readFileSync(join(outside, "bin/tool"), "utf8"), program)
    })
  )
})
