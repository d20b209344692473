/** The arguments of bubblewrap: nothing but what is listed here exists for a process. */
import { lstat, readlink } from "node:fs/promises"
import { maskedDirectories, maskedFiles } from "@deploy-mcp/domain/node/KernelFiles"
import type { Bind } from "./Toolchain.ts"

export interface SandboxContents {
  /** Readable by the user that bubblewrap runs as, like all sources here. */
  readonly app: string
  readonly etc: string
  readonly toolchain: ReadonlyArray<Bind>
  readonly variables: Readonly<Record<string, string>>
  readonly home: string
  /** MiB for each place that can be written to: `/tmp`, `/dev/shm` and HOME. */
  readonly memory: number
  /** The descriptor that bubblewrap reads a seccomp program from. Null: all calls are allowed. */
  readonly filter: number | null
}

/**
 * The service's own network namespace was entered before: `--share-net` keeps it. No capabilities,
 * no further user namespaces, no setuid programs; it dies with the edge.
 */
const isolation = [
  ...["--unshare-all", "--share-net", "--unshare-user", "--uid", "65534", "--gid", "65534"],
  ...["--cap-drop", "ALL", "--disable-userns", "--die-with-parent", "--new-session"],
  ...["--hostname", "service"]
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

export const sandboxArguments = async (contents: SandboxContents): Promise<Array<string>> => {
  const size = String(contents.memory * 1024 * 1024)
  return [
    "--clearenv",
    ...isolation,
    ...(contents.filter === null ? [] : ["--seccomp", String(contents.filter)]),
    ...(await system()),
    ...(await kernel(size)),
    ...["--size", size, "--tmpfs", "/tmp"],
    ...["--perms", "0700", "--size", size, "--tmpfs", contents.home],
    ...["passwd", "group", "hosts", "nsswitch.conf", "resolv.conf"].flatMap((name) => [
      "--ro-bind",
      `${contents.etc}/${name}`,
      `/etc/${name}`
    ]),
    ...certificates.flatMap((path) => ["--ro-bind-try", path, path]),
    ...contents.toolchain.flatMap((bind) => ["--ro-bind", bind.source, bind.target]),
    ...["--ro-bind", contents.app, "/app", "--chdir", "/app"],
    ...["--remount-ro", "/"],
    ...Object.entries(contents.variables).flatMap(([name, value]) => ["--setenv", name, value])
  ]
}

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
const system = async (): Promise<Array<string>> => {
  const args = ["--ro-bind", "/usr", "/usr"]
  for (const path of ["/bin", "/sbin", "/lib", "/lib32", "/lib64"]) {
    const found = await lstat(path).catch(() => null)
    if (found?.isSymbolicLink()) args.push("--symlink", await readlink(path), path)
    else if (found?.isDirectory()) args.push("--ro-bind", path, path)
  }
  return args
}
