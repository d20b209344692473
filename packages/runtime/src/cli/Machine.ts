/** Facts about this machine and the platform on it, each with what to do when it is not as it should be. */
import { constants, statSync } from "node:fs"
import { access, readFile, stat } from "node:fs/promises"
import { connect } from "node:net"
import { dirname, join } from "node:path"
import { Effect, Schema, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { diskOf } from "../DiskOf.ts"
import { readSettings } from "../instances/SettingsFile.ts"

export const Finding = Schema.Struct({
  what: Schema.String,
  status: Schema.Literals(["ok", "warn", "fail"]),
  detail: Schema.String,
  /** What to do; empty when it is ok. */
  next: Schema.String
})
export type Finding = typeof Finding.Type

export const ok = (what: string, detail: string): Finding => ({
  what,
  status: "ok",
  detail,
  next: ""
})
export const warn = (what: string, detail: string, next: string): Finding => ({
  what,
  status: "warn",
  detail,
  next
})
export const fail = (what: string, detail: string, next: string): Finding => ({
  what,
  status: "fail",
  detail,
  next
})

export const node = Effect.sync(() =>
  Number(process.versions.node.split(".")[0]) >= 24
    ? ok("node", process.version)
    : fail("node", process.version, "Start with bin/deploy-mcp.mjs, which brings its own Node.js.")
)

interface Program {
  readonly name: string
  readonly args: ReadonlyArray<string>
  /** What does not work without it. */
  readonly without: string
  readonly needed: boolean
}

const programs: ReadonlyArray<Program> = [
  {
    name: "npm",
    args: ["--version"],
    needed: false,
    without: "Node services with dependencies cannot be built"
  },
  { name: "git", args: ["--version"], needed: true, without: "nothing can be pushed" },
  {
    name: "bwrap",
    args: ["--version"],
    needed: false,
    without: "builds and services run without a sandbox"
  },
  {
    name: "nft",
    args: ["--version"],
    needed: false,
    without: "services of a platform that is root can reach the networks of this machine"
  },
  {
    name: "ip",
    args: ["-V"],
    needed: false,
    without: "services share the network of this machine"
  },
  ...["nsenter", "setpriv", "unshare"].map((name) => ({
    name,
    args: ["--version"],
    needed: false,
    without: "services share the network of this machine"
  }))
]

export const tools = Effect.forEach(programs, ({ name, args, without, needed }) =>
  Effect.map(versionOf(name, args), (version) => {
    if (version !== null) return ok(name, version)
    const next = `Install it (${packages[name] ?? name}); until then ${without}.`
    return needed ? fail(name, "not found", next) : warn(name, "not found", next)
  })
)

const packages: Readonly<Record<string, string>> = {
  bwrap: "package bubblewrap",
  nft: "package nftables",
  ip: "package iproute2",
  nsenter: "package util-linux",
  setpriv: "package util-linux",
  unshare: "package util-linux",
  npm: "it comes with Node.js"
}

const versionOf = (name: string, args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
    const handle = yield* spawner.spawn(ChildProcess.make(name, args, { stdin: "ignore" }))
    const text = yield* handle.all.pipe(Stream.decodeText(), Stream.mkString)
    return (yield* handle.exitCode) === 0 ? (text.trim().split("\n")[0] ?? "") : null
  }).pipe(
    Effect.scoped,
    Effect.timeout("5 seconds"),
    Effect.orElseSucceed(() => null)
  )

/** Where services are to run in it; whether it works here, the edge tries. */
export const gvisor = Effect.map(versionOf("runsc", ["--version"]), (version) =>
  version === null
    ? fail(
        "runsc",
        "not found, and DEPLOY_MCP_SANDBOX is gvisor: no service is run",
        "Install gVisor as docs/sandbox.md says, or set DEPLOY_MCP_SANDBOX to auto, and start again."
      )
    : ok("runsc", version)
)

export const user = Effect.sync(() =>
  process.getuid?.() === 0
    ? ok("root", "yes: services get network namespaces and users of their own")
    : warn(
        "root",
        `no: user ${process.getuid?.() ?? "unknown"}`,
        "Run as root for users and limits of their own; without, services call out through the platform alone, or share this host's network where bwrap does not work."
      )
)

/** What services may call where they have networks of their own; whether it holds, the banner says. */
export const egress = (reach: "public" | "none", allow: string) =>
  ok(
    "egress",
    [
      reach === "public"
        ? process.getuid?.() === 0
          ? "services may call the public internet over IPv4 and nothing private"
          : "services may call the public internet through the platform, by TCP at the usual ports, and nothing private"
        : "services call nothing (DEPLOY_MCP_EGRESS is none)",
      ...(allow.trim() === "" ? [] : [`besides: ${allow.trim()}`])
    ].join("; ")
  )

/** Limits on memory and processor need a hierarchy that may be written to. */
export const controlGroups = Effect.gen(function* () {
  const isV2 = yield* exists("/sys/fs/cgroup/cgroup.controllers")
  const isV1 = yield* exists("/sys/fs/cgroup/memory")
  if (!isV2 && !isV1) {
    return warn(
      "cgroups",
      "none mounted",
      "Mount /sys/fs/cgroup; until then limits are not enforced."
    )
  }
  const version = isV2 ? "version 2" : "version 1"
  return (yield* isWritable(isV2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory"))
    ? ok("cgroups", `${version}, writable`)
    : warn(
        "cgroups",
        `${version}, not writable`,
        "Run as root, or in a container with a writable /sys/fs/cgroup; until then limits are not enforced."
      )
})

export const home = Effect.fnUntraced(function* (folder: string) {
  const there = yield* exists(folder)
  const target = there ? folder : dirname(folder)
  if (!(yield* isWritable(target))) {
    return fail("home", `${target} is not writable`, "Set DEPLOY_MCP_HOME to a folder of your own.")
  }
  if (!there) return ok("home", `${folder} (not made yet)`)
  const mode = (yield* Effect.promise(() => stat(folder))).mode & 0o066
  return mode === 0
    ? ok("home", folder)
    : warn("home", `${folder} is readable by others`, `Close it: chmod 700 ${folder}`)
})

/** Rows and workflows, where they are a file of the home. */
const databaseIn = (folder: string): string => {
  const size = ["deploy-mcp.db", "deploy-mcp.db-wal"]
    .map((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0)
    .reduce((sum, bytes) => sum + bytes, 0)
  return size === 0 ? "" : `, ${Math.ceil(size / 1024 ** 2)} MiB taken by rows and workflows`
}

/** Room for what is built; `minimum` is in MiB. */
export const disk = Effect.fnUntraced(function* (folder: string, minimum: number) {
  const target = (yield* exists(folder)) ? folder : dirname(folder)
  if (!(yield* exists(target))) return warn("disk", `there is no ${target}`, "Make that folder.")
  const { free, size } = yield* diskOf(target)
  const [left, all] = [free, size].map((bytes) => Math.floor(bytes / 1024 ** 2))
  const mark = minimum > 0 ? `; below ${minimum} MiB nothing is built` : ""
  const room = `${left} of ${all} MiB free${mark}`
  if (free < minimum * 1024 ** 2) {
    return fail("disk", room, "Free some of it, or set DEPLOY_MCP_MIN_FREE_DISK lower.")
  }
  return free < 2 * minimum * 1024 ** 2
    ? warn("disk", room, "Free some of it before builds are refused.")
    : ok("disk", `${room}${databaseIn(folder)}`)
})

/** The providers that the settings name, without trying them. */
export const instances = (folder: string, settingsFile: string | null) =>
  readSettings(folder, settingsFile).pipe(
    Effect.map(({ instances, defaults }) =>
      instances.map(({ service, name, provider, module }) =>
        ok(
          "instance",
          `${service}.${name} → ${[provider, module].filter((word) => word !== null).join(" of ")}${defaults.get(service) === name ? ", the default" : ""}`
        )
      )
    ),
    Effect.catch(({ message }) =>
      Effect.succeed([fail("settings", message, "The platform does not start until it is mended.")])
    )
  )

/** The two processes, by what they wrote about themselves and by whether they are there. */
export const processes = Effect.fnUntraced(function* (folder: string) {
  const control = yield* pidIn(join(folder, "run", "control.pid"))
  const edge = yield* pidIn(join(folder, "run", "edge.pid"))
  const [controls, edges] = [control?.alive === true, edge?.alive === true]
  const describe = (what: string, pid: Pid, missed: boolean, meanwhile: string): Finding =>
    pid?.alive
      ? ok(what, `process ${pid.number}`)
      : missed
        ? warn(what, `not running; ${meanwhile}`, "Start the platform with deploy-mcp up.")
        : ok(what, "not running")
  const findings: ReadonlyArray<Finding> = [
    describe("control", control, edges, "the edge serves the services without it"),
    describe("edge", edge, controls, "control should have started it")
  ]
  return { findings, control: controls, edge: edges }
})

type Pid = { readonly number: number; readonly alive: boolean } | null

/** A port is as it should be when it listens exactly when its process is there. */
export const port = Effect.fnUntraced(function* (
  what: string,
  number: number,
  running: boolean,
  setting: string
) {
  const listens = yield* canConnect(number)
  if (listens === running) {
    return ok(what, running ? `${number} answers` : `${number} is free`)
  }
  return running
    ? fail(
        what,
        `${number} does not answer`,
        `Set ${setting} to the port of the running platform, or look at what it prints.`
      )
    : fail(
        what,
        `${number} is used by another program`,
        `Stop that program, or set ${setting} to a free port.`
      )
})

const exists = (path: string) => Effect.promise(() => access(path).then(yes, no))
const isWritable = (path: string) =>
  Effect.promise(() => access(path, constants.W_OK).then(yes, no))
const yes = () => true
const no = () => false

const pidIn = (file: string) =>
  Effect.promise(
    (): Promise<Pid> =>
      readFile(file, "utf8").then(
        (text) => {
          const number = Number.parseInt(text, 10)
          return number > 0 ? { number, alive: isAlive(number) } : null
        },
        () => null
      )
  )

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // Somebody else's process is alive, too.
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

const canConnect = (number: number) =>
  Effect.callback<boolean>((resume) => {
    const socket = connect({ host: "127.0.0.1", port: number, timeout: 1000 })
    const end = (answer: boolean) => {
      socket.destroy()
      resume(Effect.succeed(answer))
    }
    socket.once("connect", () => end(true))
    socket.once("error", () => end(false))
    socket.once("timeout", () => end(false))
  })
