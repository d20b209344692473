import { assert, describe, it } from "vitest"
import { explainExit, takenPort } from "./ExplainExit.ts"

const workload = { port: null, memory: 64 }
const explain = (lines: ReadonlyArray<string>, more: Partial<Parameters<typeof explainExit>[0]>) =>
  explainExit(
    { code: 1, signal: null, outOfMemory: false, started: true, ...more },
    { ownNetwork: false },
    workload,
    lines
  )

describe("why a process ended", () => {
  it("is read from its output and its status", () => {
    const cases = [
      [["Error: listen EADDRINUSE: address already in use :::3000"], {}, "fixed_port", "3000"],
      [["listen tcp :8081: bind: address already in use"], {}, "fixed_port", "8081"],
      [
        ["Error: Cannot find module 'left-pad'", "Require stack:"],
        {},
        "missing_module",
        "left-pad"
      ],
      [
        ["Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'hono' imported from /app/a.js"],
        {},
        "missing_module",
        "hono"
      ],
      [
        ["Cannot find module '/app/lib/x.js' imported from /app/server.js"],
        {},
        "missing_module",
        "/app/lib/x.js"
      ],
      [["ModuleNotFoundError: No module named 'flask'"], {}, "missing_module", "flask"],
      [["sh: 1: nope: not found"], { code: 127 }, "start_failed", "'nope' does not exist"],
      [["sh: 1: ./x: Permission denied"], { code: 126 }, "start_failed", "'./x' can't be executed"],
      [["bash: line 1: nope: command not found"], { code: 127 }, "start_failed", "'nope'"],
      [[], { code: 137, outOfMemory: true }, "out_of_memory", "64 MiB"],
      [["FATAL ERROR: JavaScript heap out of memory"], { code: 134 }, "out_of_memory", "64"],
      [[], { code: 137 }, "exited", "SIGKILL"],
      [["bye"], { code: 0 }, "exited", "exit code 0"],
      [["bwrap: no"], { started: false }, "start_failed", "sandbox"]
    ] as const
    for (const [lines, exit, code, cause] of cases) {
      const failure = explain(lines, exit)
      assert.strictEqual(failure.code, code, lines.join("\n"))
      assert.include(failure.cause, cause)
    }
  })
  it("keeps the last lines only", () => {
    const lines = Array.from({ length: 30 }, (_, index) => `line ${index}`)
    assert.deepStrictEqual(explain(lines, {}).evidence, lines.slice(10))
  })
  it("knows a taken port without its number", () => {
    assert.strictEqual(takenPort("OSError: [Errno 98] Address already in use"), 0)
    assert.strictEqual(takenPort("fine"), null)
  })
})
