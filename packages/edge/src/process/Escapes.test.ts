import { execFile, spawn } from "node:child_process"
import { open, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { text } from "node:stream/consumers"
import { promisify } from "node:util"
import { systemCallFilter } from "@deploy-mcp/domain/node/SystemCallFilter"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import {
  type Attempts,
  attemptsOf,
  attemptsOfService,
  type EscapeWorld,
  openEscapeWorld,
  succeeded
} from "./EscapeWorld.ts"
import { firstUser } from "./LaunchInSlot.ts"
import { findProgram } from "./Program.ts"
import { sandboxArguments } from "./Sandbox.ts"
import { writeSlotFiles } from "./SlotFiles.ts"
import { openTestEdge, type TestEdge } from "./TestEdge.ts"

const root = process.getuid?.() === 0
const user = root ? firstUser : undefined
const bwrap = await findProgram("bwrap")

/** A kernel without it: there is nothing to refuse. */
const lacking = /^(ENOSYS|EAFNOSUPPORT|ENOENT|EOPNOTSUPP)$/

describe("a program that tries to get out", () => {
  let edge: TestEdge
  let world: EscapeWorld
  let unfenced: Attempts
  beforeAll(async () => {
    edge = await openTestEdge()
    world = await openEscapeWorld(join(edge.home, "platform"), user)
    await writeSlotFiles(world.folder)
    const filter = systemCallFilter(process.arch)
    if (filter) await writeFile(join(world.folder, "calls.bpf"), filter)
    unfenced = await attempt(["unshare", "--mount", "perl", "./Escapes.pl"], world, true)
  })
  afterAll(async () => {
    await world.close()
    await edge.close()
  })

  it("succeeds where nothing fences it, in whatever the kernel can do", () => {
    if (!root) return
    const failed = [...unfenced].filter(([, reason]) => reason !== "" && !lacking.test(reason))
    assert.deepStrictEqual(failed, [])
    assert.isAbove(succeeded(unfenced).length, 60)
  })

  it("finds each attempt refused as a service", async () => {
    if (edge.processes.isolation.level !== "bubblewrap") return
    const attempts = await attemptsOfService(edge, world)
    assert.deepStrictEqual([...attempts.keys()], [...unfenced.keys()])
    const shared = edge.processes.isolation.network
      ? []
      : ["call a nameless socket", "call loopback"]
    assert.deepStrictEqual(succeeded(attempts), shared)
    const odd = [...attempts].filter(([, reason]) => /died|signal|fork|untold/.test(reason))
    assert.deepStrictEqual(odd, [])
  })

  it.each<Weakened>([
    { layer: "nothing", change: (args) => args, gets: [] },
    {
      layer: "the filter of system calls",
      change: without("--seccomp", "3"),
      gets: [
        "change the firewall",
        "fix addresses",
        "keyring",
        "place memory",
        "take a child's file"
      ]
    },
    {
      layer: "processes of its own",
      change: without("--unshare-pid"),
      gets: ["see another's command line", "signal another"]
    },
    { layer: "memory of its own", change: without("--unshare-ipc"), gets: ["share memory"] },
    {
      layer: "a network of its own",
      change: without("--unshare-net"),
      gets: ["call a nameless socket", "call loopback"]
    },
    {
      layer: "the ban on users within, and the filter",
      change: (args) => without("--seccomp", "3")(without("--disable-userns")(args)),
      gets: ["clone a user", "unshare a user"]
    },
    {
      layer: "the loss of capabilities, and the filter",
      change: (args) =>
        without("--seccomp", "3")(args).map((word) => (word === "--cap-drop" ? "--cap-add" : word)),
      gets: ["change root", "hold a capability", "mount", "uncover"]
    },
    {
      layer: "the read-only root",
      change: without("--remount-ro", "/"),
      gets: ["write to the system"]
    },
    {
      layer: "the read-only /proc",
      change: without("--remount-ro", "/proc"),
      gets: ["write to a process"]
    },
    {
      layer: "the read-only /dev",
      change: without("--remount-ro", "/dev"),
      gets: ["write to devices"]
    },
    {
      layer: "the covers over /proc",
      change: (args) =>
        ["interrupts", "kallsyms"].reduce(
          (left, name) => without("--ro-bind", "/dev/null", `/proc/${name}`)(left),
          args
        ),
      gets: ["read /proc/interrupts", "read /proc/kallsyms"]
    },
    {
      layer: "a choice of files",
      change: (args, { folder }) => [...args, "--ro-bind", dirname(folder), dirname(folder)],
      gets: ["call a socket", "find a well-known socket"]
    },
    { layer: "closed files", change: (args) => args, gets: ["hold a file"], held: true }
  ])("gets as far as it should without $layer", async ({ change, gets, held = false }) => {
    if (bwrap === null || !existsFilter()) return
    const args = change(await sandboxOf(world), world)
    const attempts = await attempt(
      [...(root ? dropTo(user ?? 0) : []), bwrap, ...args, "--", "perl", "./Escapes.pl"],
      world,
      held
    )
    const possible = gets.filter((name) => !root || unfenced.get(name) === "")
    assert.includeMembers([...succeeded(attempts)], possible)
    if (gets.length === 0) assert.deepStrictEqual(succeeded(attempts), [])
  })

  it("has a setuid program that works where privileges can be gained", async () => {
    if (!root) return
    const [file = "", ...args] = [...dropTo(user ?? 0), join(world.folder, "setuid-id"), "-u"]
    const { stdout } = await promisify(execFile)(file, args)
    assert.strictEqual(stdout, "0\n")
  })
})

interface Weakened {
  readonly layer: string
  readonly change: (args: ReadonlyArray<string>, world: EscapeWorld) => ReadonlyArray<string>
  readonly gets: ReadonlyArray<string>
  /** A file of the platform is open when it is started. */
  readonly held?: boolean
}

const existsFilter = () => systemCallFilter(process.arch) !== null

const dropTo = (id: number) => [
  ...["setpriv", "--reuid", String(id), "--regid", String(id), "--clear-groups", "--"]
]

/** What services get, with each namespace by its name, and with a network of its own. */
const sandboxOf = async ({ folder, facts }: EscapeWorld): Promise<ReadonlyArray<string>> => {
  const contents = {
    app: folder,
    etc: join(folder, "etc"),
    toolchain: [],
    variables: { ...facts, PATH: "/usr/bin:/bin" },
    home: "/home/service",
    memory: 16
  }
  const args = await sandboxArguments(contents, 3)
  return without("--share-net")(args).flatMap((word) =>
    word === "--unshare-all"
      ? ["pid", "ipc", "uts", "net", "cgroup-try"].map((name) => `--unshare-${name}`)
      : [word]
  )
}

function without(...words: ReadonlyArray<string>) {
  return (args: ReadonlyArray<string>): ReadonlyArray<string> => {
    const at = args.findIndex((_, index) =>
      words.every((word, more) => args[index + more] === word)
    )
    assert.isAtLeast(at, 0, `${words.join(" ")} is not there to be taken away`)
    return [...args.slice(0, at), ...args.slice(at + words.length)]
  }
}

const attempt = async (
  command: ReadonlyArray<string>,
  { facts, folder }: EscapeWorld,
  held: boolean
): Promise<Attempts> => {
  const [file = "", ...args] = command
  const filter = await open(join(folder, "calls.bpf"))
  const secret = await open(join(facts.PLATFORM ?? "", "owner-key"))
  const child = spawn(file, args, {
    cwd: folder,
    env: { PATH: process.env.PATH, ...facts },
    stdio: ["ignore", "pipe", "pipe", filter.fd, held ? secret.fd : "ignore"]
  })
  await Promise.all([filter.close(), secret.close()])
  assert(child.stdout && child.stderr)
  const [told, words] = await Promise.all([text(child.stdout), text(child.stderr)])
  if (told === "") throw new Error(words)
  return attemptsOf(told)
}
