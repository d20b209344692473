/** Whether bubblewrap works on this machine, and with which of its fences: it is run once, and tells. */
import { chmod, readlink, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { systemCallFilter } from "@deploy-mcp/domain/node/SystemCallFilter"
import { type ProgramResult, runProgram } from "./Program.ts"
import { sandboxArguments } from "./Sandbox.ts"
import { serviceHome } from "./SlotFiles.ts"

export interface TriedSandbox {
  /** Null: it does not work here, and `problem` says why. */
  readonly seen: SeenInside | null
  readonly problem: string
  /** File with a seccomp program that the kernel takes. Null: there is none. */
  readonly filter: string | null
  readonly notes: ReadonlyArray<string>
}

/** What a program inside of one sees. */
export interface SeenInside {
  readonly filter: boolean
  /** It holds no capability and can't gain one. */
  readonly powerless: boolean
  /** Those of `namespaceKinds` that are not the edge's. */
  readonly namespaces: ReadonlyArray<string>
  /** Those of `readOnlyPlaces` that can't be written to. */
  readonly readOnly: ReadonlyArray<string>
}

export const namespaceKinds = ["user", "pid", "ipc", "uts", "mnt", "cgroup"]
export const readOnlyPlaces = ["/", "/proc", "/dev"]

/** `files` holds `etc/`, and the program from now on. */
export const trySandbox = async (bwrap: string, files: string): Promise<TriedSandbox> => {
  const filter = await writeFilter(join(files, "calls.bpf"))
  const filtered = filter === null ? null : await runInSandbox(bwrap, files, filter)
  const seen = filtered?.code === 0 ? await seenIn(filtered.stdout) : null
  if (seen?.filter) return { seen, filter, notes: [], problem: "" }
  const plain = await runInSandbox(bwrap, files, null)
  if (plain.code !== 0) return { seen: null, filter: null, notes: [], problem: lastWords(plain) }
  const reason = filtered
    ? lastWords(filtered) || "the kernel takes none"
    : `none is known for ${process.arch}`
  const notes = [`Sandboxes have no system call filter: ${reason}.`]
  return { seen: await seenIn(plain.stdout), filter: null, notes, problem: "" }
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
const look = [
  ...["/bin/sh", "-c", 'readlink "$@"; exec cat /proc/self/status /proc/self/mountinfo', "sh"],
  ...namespaceKinds.map((kind) => `/proc/self/ns/${kind}`)
]

/** The sandbox that services get, around a program that only tells what it is in. */
const runInSandbox = async (
  bwrap: string,
  files: string,
  filter: string | null
): Promise<ProgramResult> => {
  const etc = join(files, "etc")
  const args = await sandboxArguments(
    { app: etc, etc, toolchain: [], variables: {}, home: serviceHome, memory: 1 },
    filter === null ? null : filterDescriptor
  )
  const command = [bwrap, ...args, "--", ...look]
  const [file = "", ...rest] =
    filter === null ? command : ["/bin/sh", "-c", withFilter, "sh", filter, ...command]
  return runProgram(file, rest)
}

const seenIn = async (told: string): Promise<SeenInside> => {
  const lines = told.split("\n")
  const own = await Promise.all(
    namespaceKinds.map((kind) => readlink(`/proc/self/ns/${kind}`).catch(() => ""))
  )
  const namespaces = namespaceKinds.filter((kind, index) =>
    lines.some((line) => line.startsWith(`${kind}:[`) && line !== own[index])
  )
  return {
    filter: lines.includes("Seccomp:\t2"),
    powerless: lines.includes("NoNewPrivs:\t1") && hasNoCapability(lines),
    namespaces,
    readOnly: readOnlyPlaces.filter((place) => readOnlyIn(lines, place))
  }
}

/** By the lines of `/proc/self/status`. */
export const hasNoCapability = (lines: ReadonlyArray<string>): boolean => {
  const capabilities = lines.filter((line) => line.startsWith("Cap"))
  return capabilities.length > 0 && capabilities.every((line) => /:\t0+$/.test(line))
}

/** By the lines of `/proc/self/mountinfo`. */
export const readOnlyIn = (lines: ReadonlyArray<string>, place: string): boolean => {
  // Of several mounts of a place the last one covers the others.
  const mount = lines.map((line) => line.split(" ")).findLast((words) => words[4] === place)
  return mount?.[5]?.split(",").includes("ro") ?? false
}

export const lastWords = ({ stderr }: ProgramResult): string =>
  stderr.trim().split("\n").at(-1) ?? ""
