/** Whether bubblewrap works on this machine, and with which of its fences: it is run once, and tells. */
import { chmod, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { systemCallFilter } from "@deploy-mcp/domain/node/SystemCallFilter"
import { type ProgramResult, runProgram } from "./Program.ts"
import { sandboxArguments } from "./Sandbox.ts"
import { serviceHome } from "./SlotFiles.ts"

export interface TriedSandbox {
  readonly works: boolean
  /** File with a seccomp program that the kernel takes. Null: there is none. */
  readonly filter: string | null
  readonly notes: ReadonlyArray<string>
}

/** `files` holds `etc/`, and the program from now on. */
export const trySandbox = async (bwrap: string, files: string): Promise<TriedSandbox> => {
  const filter = await writeFilter(join(files, "calls.bpf"))
  const filtered = filter === null ? null : await runInSandbox(bwrap, files, filter)
  if (filtered && isFiltered(filtered)) return { works: true, filter, notes: [] }
  const plain = await runInSandbox(bwrap, files, null)
  if (plain.code !== 0) {
    const note = `Processes are not sandboxed: bubblewrap does not work here (${lastWords(plain)}).`
    return { works: false, filter: null, notes: [note] }
  }
  const reason = filtered
    ? lastWords(filtered) || "the kernel takes none"
    : `none is known for ${process.arch}`
  return { works: true, filter: null, notes: [`Sandboxes have no system call filter: ${reason}.`] }
}

/** Readable by whichever user a slot runs as: it holds no secret. */
const writeFilter = async (path: string): Promise<string | null> => {
  const program = systemCallFilter(process.arch)
  if (program === null) {
    await rm(path, { force: true })
    return null
  }
  await writeFile(path, program)
  await chmod(path, 0o644)
  return path
}

const filterDescriptor = 3
const withFilter = 'exec 3<"$1"; shift; exec "$@"'

/** The sandbox that services get, around a program that only tells what it is in. */
const runInSandbox = async (
  bwrap: string,
  files: string,
  filter: string | null
): Promise<ProgramResult> => {
  const etc = join(files, "etc")
  const args = await sandboxArguments({
    app: etc,
    etc,
    toolchain: [],
    variables: {},
    home: serviceHome,
    memory: 1,
    filter: filter === null ? null : filterDescriptor
  })
  const command = [bwrap, ...args, "--", "/bin/cat", "/proc/self/status"]
  const [file = "", ...rest] =
    filter === null ? command : ["/bin/sh", "-c", withFilter, "sh", filter, ...command]
  return runProgram(file, rest)
}

const isFiltered = ({ code, stdout }: ProgramResult): boolean =>
  code === 0 && /^Seccomp:\t2$/m.test(stdout)

const lastWords = ({ stderr }: ProgramResult): string => stderr.trim().split("\n").at(-1) ?? ""
