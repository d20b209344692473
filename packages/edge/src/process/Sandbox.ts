/** The arguments of bubblewrap: nothing but what is listed here exists for a process. */
import { lstat, readlink } from "node:fs/promises"
import { maskedDirectories, maskedFiles } from "@deploy-mcp/domain/node/KernelFiles"
import type { Bind } from "./Toolchain.ts"

/** Of user and group within: nobody, everywhere. */
export const serviceUser = 65_534

/** Where on the host the directories are that a service sees. Readable by the user that bubblewrap runs as. */
export interface SandboxSources {
  readonly app: string
  readonly etc: string
  readonly toolchain: ReadonlyArray<Bind>
}

export interface SandboxContents extends SandboxSources {
  readonly variables: Readonly<Record<string, string>>
  readonly home: string
  /** MiB for each place that can be written to: `/tmp`, `/dev/shm` and HOME. */
  readonly memory: number
}

/**
 * The service's own network namespace was entered before: `--share-net` keeps it. No capabilities,
 * no setuid programs; it dies with the edge.
 */
export const isolation = [
  ...["--clearenv", "--unshare-all", "--share-net", "--unshare-user"],
  ...["--uid", String(serviceUser), "--gid", String(serviceUser)],
  ...["--cap-drop", "ALL", "--die-with-parent", "--new-session", "--hostname", "service"]
]

/** By name: `/etc` as a whole also holds keys and passwords. */
const certificates = [
  "/etc/ssl/certs",
  "/etc/ssl/openssl.cnf",
  "/etc/ca-certificates",
  "/etc/pki/tls/certs",
  "/etc/pki/ca-trust",
  "/etc/ld.so.cache",
  "/etc/alternatives",
  "/etc/localtime"
]

/** `filter` is the descriptor that bubblewrap reads a seccomp program from. Null: all calls are allowed. */
export const sandboxArguments = async (
  contents: SandboxContents,
  filter: number | null
): Promise<Array<string>> => {
  const size = String(contents.memory * 1024 * 1024)
  return [
    ...[...isolation, "--disable-userns"],
    ...(filter === null ? [] : ["--seccomp", String(filter)]),
    ...(await kernel(size)),
    ...["--size", size, "--tmpfs", "/tmp"],
    ...["--perms", "0700", "--size", size, "--tmpfs", contents.home],
    ...(await serviceFiles(contents)),
    ...["--chdir", "/app", "--remount-ro", "/"],
    ...Object.entries(contents.variables).flatMap(([name, value]) => ["--setenv", name, value])
  ]
}

/** What a service reads and nobody can change, below `root`: whichever kernel shows it to the service. */
export const serviceFiles = async (
  { app, etc, toolchain }: SandboxSources,
  root = ""
): Promise<ReadonlyArray<string>> => [
  ...(await system(root)),
  ...["passwd", "group", "hosts", "nsswitch.conf", "resolv.conf"].flatMap((name) => [
    "--ro-bind",
    `${etc}/${name}`,
    `${root}/etc/${name}`
  ]),
  ...certificates.flatMap((path) => ["--ro-bind-try", path, root + path]),
  ...toolchain.flatMap((bind) => ["--ro-bind", bind.source, root + bind.target]),
  ...["--ro-bind", app, `${root}/app`]
]

/** What the kernel shows: nothing can be written to, but the memory that processes share. */
const kernel = async (size: string): Promise<Array<string>> => {
  const here = async (paths: ReadonlyArray<string>) => {
    const found = await Promise.all(paths.map((path) => lstat(path).catch(() => null)))
    return paths.filter((_, index) => found[index] !== null)
  }
  return [
    ...["--proc", "/proc"],
    ...(await here(maskedFiles)).flatMap((path) => ["--ro-bind", "/dev/null", path]),
    ...(await here(maskedDirectories)).flatMap((path) => [
      ...["--perms", "0555", "--tmpfs", path, "--remount-ro", path]
    ]),
    ...["--remount-ro", "/proc"],
    ...["--dev", "/dev", "--perms", "1777", "--size", size, "--tmpfs", "/dev/shm"],
    ...["--remount-ro", "/dev"]
  ]
}

/** `/usr`, and `/bin` and its like as this machine has them: links into it, or directories. */
const system = async (root: string): Promise<Array<string>> => {
  const args = ["--ro-bind", "/usr", `${root}/usr`]
  for (const path of ["/bin", "/sbin", "/lib", "/lib32", "/lib64"]) {
    const found = await lstat(path).catch(() => null)
    if (found?.isSymbolicLink()) args.push("--symlink", await readlink(path), root + path)
    else if (found?.isDirectory()) args.push("--ro-bind", path, root + path)
  }
  return args
}
