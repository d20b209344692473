/** Programs of the machine that the edge itself runs: argument vectors and a minimal environment. */
import { spawn } from "node:child_process"
import { constants } from "node:fs"
import { access } from "node:fs/promises"
import { join } from "node:path"

/** All that programs get: whatever the edge was started with must not show in `/proc/<pid>/environ`. */
export const minimalEnvironment = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LANG: "C.UTF-8"
}

/** Where root's programs are; often not on PATH. */
export const systemDirectories = ["/usr/sbin", "/sbin"]

/** Absolute path of a program, by the edge's PATH and then in `more`. */
export const findProgram = async (
  name: string,
  more: ReadonlyArray<string> = []
): Promise<string | null> => {
  for (const directory of [...(process.env.PATH ?? "").split(":"), ...more]) {
    if (!directory.startsWith("/")) continue
    const path = join(directory, name)
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false
    )
    if (found) return path
  }
  return null
}

export interface ProgramResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Never rejects: a program that can't be started or takes too long has no code and says why. */
export const runProgram = (
  file: string,
  args: ReadonlyArray<string>,
  input = "",
  timeoutMs = 10_000
): Promise<ProgramResult> =>
  new Promise((resolve) => {
    const child = spawn(file, args, { env: minimalEnvironment, cwd: "/", timeout: timeoutMs })
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      stdout += chunk
    })
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      stderr += chunk
    })
    // A program that ends before it has read everything: its exit code says so already.
    child.stdin.on("error", () => {})
    child.stdin.end(input)
    child.once("error", (error) => resolve({ code: null, stdout, stderr: error.message }))
    child.once("close", (code) => resolve({ code, stdout, stderr }))
  })

/** Standard output, or an error that carries the program's own words. */
export const mustRun = async (
  file: string,
  args: ReadonlyArray<string>,
  input = ""
): Promise<string> => {
  const result = await runProgram(file, args, input)
  if (result.code === 0) return result.stdout
  const words = result.stderr.trim().split("\n").at(-1) ?? ""
  throw new Error(`${file} ${args.join(" ")} failed: ${words || `code ${result.code}`}`)
}
