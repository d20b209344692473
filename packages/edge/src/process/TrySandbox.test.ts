import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { findProgram } from "./Program.ts"
import { writeSlotFiles } from "./SlotFiles.ts"
import { namespaceKinds, readOnlyPlaces, trySandbox } from "./TrySandbox.ts"

describe("what the first sandbox tells", () => {
  let folder = ""
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "try-sandbox-"))
    await chmod(folder, 0o755)
    await writeSlotFiles(folder)
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  /** In place of bubblewrap: a program that does something else with its arguments. */
  const impostor = async (text: string): Promise<string> => {
    const path = join(folder, "impostor")
    await writeFile(path, `#!/bin/sh\n${text}\n`)
    await chmod(path, 0o755)
    return path
  }

  it("is all of it where bubblewrap works", async () => {
    const bwrap = await findProgram("bwrap")
    if (bwrap === null) return
    const { filter, notes, seen } = await trySandbox(bwrap, folder)
    assert.isString(filter)
    assert.deepStrictEqual(notes, [])
    assert.deepStrictEqual(seen, {
      filter: true,
      powerless: true,
      namespaces: namespaceKinds,
      readOnly: readOnlyPlaces
    })
  })

  it("is nothing where a program only says that it is bubblewrap", async () => {
    const { filter, notes, seen } = await trySandbox(
      await impostor(`while [ "$1" != -- ]; do shift; done; shift; exec "$@"`),
      folder
    )
    assert.isNull(filter)
    assert.match(notes.join(), /no system call filter/)
    assert.deepStrictEqual([seen?.filter, seen?.namespaces], [false, []])
    assert.notStrictEqual(seen?.readOnly.length, readOnlyPlaces.length)
  })

  it("lacks what bubblewrap was not asked for", async () => {
    const bwrap = await findProgram("bwrap")
    if (bwrap === null) return
    const { seen } = await trySandbox(
      await impostor(
        `for word do shift; case "$word" in --unshare-all) set -- "$@" --unshare-pid --unshare-uts;; *) set -- "$@" "$word";; esac; done
        exec ${bwrap} "$@"`
      ),
      folder
    )
    assert.isTrue(seen?.filter)
    assert.deepStrictEqual(seen?.namespaces, ["user", "pid", "uts", "mnt"])
  })

  it("is why it does not work where it does not", async () => {
    const { filter, problem, seen } = await trySandbox(
      await impostor("echo no namespaces here >&2; exit 1"),
      folder
    )
    assert.isNull(filter)
    assert.isNull(seen)
    assert.strictEqual(problem, "no namespaces here")
  })
})
