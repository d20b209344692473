/**
 * A service in a kernel of its own: gVisor (`runsc`), itself in bubblewrap. Bubblewrap shows it the
 * service's files below one directory and nothing else of the host; whoever gets out of gVisor is in there,
 * as the owner's own user and without rights. What the service calls goes through the network namespace
 * that was entered before, so rules of slots and enclaves hold as they stand.
 */
import { dirname } from "node:path"
import { isolation, type SandboxContents, serviceFiles, serviceUser } from "../Sandbox.ts"
import { insideGvisor } from "./InsideGvisor.ts"

export interface Gvisor {
  /** Absolute path of `runsc` on this machine. */
  readonly program: string
  /** How it comes by the service's system calls; the first of `platforms` that works here. */
  readonly platform: string
  readonly version: string
}

/** Fast ones first. */
export const platforms = ["systrap", "ptrace"] as const

/** Below it the service's root is; beside it what gVisor itself needs. */
const root = "/service"
const place = "/gvisor"
/** Where gVisor puts file systems of its own. */
const covered = ["/proc", "/sys", "/dev", "/tmp"]

/** `program` and `spec` are a path and a descriptor that bubblewrap reads gVisor and its `specOf` from. */
export const gvisorArguments = async (
  contents: SandboxContents,
  program: string,
  spec: number
): Promise<Array<string>> => {
  const files = await serviceFiles(contents, root)
  const empty = [...covered, contents.home].map((path) => root + path)
  return [
    ...isolation,
    // For gVisor itself, which makes its own root in /tmp.
    ...["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", `${place}/state`],
    ...[...foldersOf([...files, ...empty]), ...empty].flatMap(openFolder),
    ...files,
    ...["--ro-bind", program, `${place}/runsc`],
    // It holds variables: never on a disk.
    ...["--perms", "0400", "--file", String(spec), `${place}/bundle/config.json`],
    ...["--remount-ro", "/"]
  ]
}

/** All that lead to these, from above: bubblewrap would open them to its own user alone, who is root in gVisor. */
const foldersOf = (paths: ReadonlyArray<string>): ReadonlyArray<string> => {
  const folders = new Set<string>()
  for (const path of paths.filter((one) => one.startsWith(`${root}/`))) {
    for (let at = dirname(path); at !== "/"; at = dirname(at)) folders.add(at)
  }
  return [...folders].sort()
}

const openFolder = (path: string) => ["--perms", "0755", "--dir", path]

/** What bubblewrap runs. Control groups were joined before; within, all users are names for the owner's. */
export const gvisorCommand = (platform: string): ReadonlyArray<string> => [
  ...[`${place}/runsc`, "--root", `${place}/state`, "--rootless", "--ignore-cgroups"],
  ...["--network=host", `--platform=${platform}`],
  ...["run", "--bundle", `${place}/bundle`, "service"]
]

/** The file `config.json` of an OCI bundle (github.com/opencontainers/runtime-spec, config.md). */
export const specOf = (
  contents: SandboxContents,
  command: ReadonlyArray<string> = ["/bin/sh", "-c", insideGvisor]
): string =>
  JSON.stringify({
    ociVersion: "1.0.0",
    hostname: "service",
    root: { path: root, readonly: true },
    process: {
      args: command,
      cwd: "/app",
      env: Object.entries(contents.variables).map(([name, value]) => `${name}=${value}`),
      user: { uid: serviceUser, gid: serviceUser },
      capabilities: {},
      noNewPrivileges: true,
      // Out of memory, the host's kernel is to end all of it: gVisor waits for ever for what else it loses.
      oomScoreAdj: 1000
    },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc", options: ["ro"] },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"] },
      memory("/dev/shm", contents, "1777"),
      memory("/tmp", contents, "1777"),
      memory(contents.home, contents, "0700"),
      ...contents.toolchain
        .map(({ target }) => target)
        .filter((target) =>
          [...covered, contents.home].some((path) => target.startsWith(`${path}/`))
        )
        .map((target) => ({
          destination: target,
          type: "bind",
          source: root + target,
          options: ["rbind", "ro"]
        }))
    ]
  })

const memory = (destination: string, contents: SandboxContents, mode: string) => ({
  destination,
  type: "tmpfs",
  source: "tmpfs",
  options: [
    ...["nosuid", "nodev", `mode=${mode}`, `uid=${serviceUser}`, `gid=${serviceUser}`],
    `size=${contents.memory}m`
  ]
})
