/** What `/proc` says about processes: who descends from whom, and who is really who. */
import { readdir, readFile, readlink } from "node:fs/promises"

export interface ProcessStatus {
  readonly pid: number
  readonly name: string
  /** One letter; `Z` is a zombie: dead, although `kill -0` succeeds. */
  readonly state: string
  readonly parent: number
  readonly session: number
  /** Clock ticks since boot: with the pid it names a process for good. */
  readonly startTime: string
}

export const processStatus = async (pid: number): Promise<ProcessStatus | null> => {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null)
  if (text === null) return null
  // The name stands in parentheses and may hold both spaces and parentheses.
  const end = text.lastIndexOf(")")
  const rest = text.slice(end + 2).split(" ")
  return {
    pid,
    name: text.slice(text.indexOf("(") + 1, end),
    state: rest[0] ?? "",
    parent: Number(rest[1]),
    session: Number(rest[3]),
    startTime: rest[19] ?? ""
  }
}

/** Each thread has its own: what another than the first one has started, too. */
export const childrenOf = async (pid: number): Promise<ReadonlyArray<number>> => {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => [])
  const texts = await Promise.all(
    threads.map((thread) =>
      readFile(`/proc/${pid}/task/${thread}/children`, "utf8").catch(() => null)
    )
  )
  const told = texts.filter((text) => text !== null)
  if (told.length > 0) return told.flatMap((text) => text.split(" ").filter(Boolean).map(Number))
  const all = await allProcesses()
  return all.filter((status) => status.parent === pid).map((status) => status.pid)
}

export const allProcesses = async (): Promise<ReadonlyArray<ProcessStatus>> => {
  const names = await readdir("/proc")
  const found = await Promise.all(
    names.filter((name) => /^\d+$/.test(name)).map((name) => processStatus(Number(name)))
  )
  return found.filter((status) => status !== null)
}

/** The process itself first, then everything below it. */
export const treeOf = async (pid: number): Promise<ReadonlyArray<number>> => {
  const tree = [pid]
  for (let index = 0; index < tree.length; index++) {
    const at = tree[index]
    if (at !== undefined) tree.push(...(await childrenOf(at)))
  }
  return tree
}

/**
 * The processes that should hear SIGTERM. A shell that only runs a command line (`sh -c`) would die
 * at once and take its children along before they could finish: they hear it in its place.
 */
export const serviceProcesses = async (pid: number): Promise<ReadonlyArray<number>> => {
  const words = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0")
  if (!/(^|\/)(ba|da|a)?sh$/.test(words[0] ?? "") || words[1] !== "-c") return [pid]
  const children = await childrenOf(pid)
  if (children.length === 0) return [pid]
  return (await Promise.all(children.map(serviceProcesses))).flat()
}

/** Inodes of all sockets that a process tree holds open. */
export const socketInodes = async (root: number): Promise<ReadonlySet<string>> => {
  const inodes = new Set<string>()
  for (const pid of await treeOf(root)) {
    const names = await readdir(`/proc/${pid}/fd`).catch(() => [])
    const links = await Promise.all(
      names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => ""))
    )
    for (const link of links) {
      const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1]
      if (inode !== undefined) inodes.add(inode)
    }
  }
  return inodes
}

export const signalProcess = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}
