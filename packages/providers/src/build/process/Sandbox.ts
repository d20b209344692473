/**
 * What a build step sees. With bubblewrap that is the build directory, the toolchain, the system's
 * programs and its owner's package cache, and nothing else of the machine; its network has one way out
 * or none. Without it a step is an ordinary process of another user.
 *
 * As root the mounts are made by root and the step then becomes an unprivileged user of the host, so
 * that no directory above the build needs to be open to others. Elsewhere a user namespace is used.
 */
import { existsSync, lstatSync, readlinkSync, realpathSync } from "node:fs"
import { delimiter, join } from "node:path"
import { systemCallFilter } from "@deploy-mcp/domain/node/SystemCallFilter"
import { type PackageSources, toolDefaults, toolPlaces } from "../ToolSettings.ts"
import type { Language } from "./Languages.ts"
import { opening, wayVariables } from "./network/Way.ts"
import type { Toolchain } from "./Toolchain.ts"

/** The host user that builds run as when the platform is root; outside the range of services. */
export const buildUser = 199_999

export interface Workplace {
  /** Absolute; becomes the working directory, `/app` inside bubblewrap. */
  readonly app: string
  /** Absolute, writable: a fresh home directory for plain steps. */
  readonly home: string
  /** Absolute, writable: the owner's package cache. */
  readonly cache: string
  /** What the step needs beside Node.js. */
  readonly language?: Language | null
}

/** How to start a step with `node:child_process`. */
export interface Launch {
  readonly file: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly user?: number
  readonly sandbox?: SandboxInput
}

/** What bubblewrap reads from descriptors, out of everyone's sight: 3 and 6; it tells on 4, waits on 5. */
export interface SandboxInput {
  readonly options: string
  /** Whether a listener comes out on descriptor 7. */
  readonly hasWay: boolean
  /** Which system calls are refused, as a program for the kernel; null: unknown on such a machine. */
  readonly filter: Uint8Array | null
}

export interface Sandbox {
  readonly level: "bubblewrap" | "plain"
  /** One sentence for people. */
  readonly description: string
  /** Who must own what a step writes to; null: the platform's own user. */
  readonly user: number | null
  readonly launch: (
    line: string,
    place: Workplace,
    variables: Readonly<Record<string, string>>
  ) => Launch
}

export interface SandboxParts extends PackageSources {
  readonly toolchain: Toolchain
  /** Directory with `passwd`, `group`, `npmrc` and so on, made by this provider. */
  readonly etc: string
  /** Whether a sandboxed step has a way out of its network. */
  readonly hasWay: boolean
  readonly caFile: string | null
  readonly searchPath: string
}

export const bubblewrap = (program: string, version: string, parts: SandboxParts): Sandbox => {
  const root = process.getuid?.() === 0
  const filter = systemCallFilter(process.arch)
  return {
    level: "bubblewrap",
    description: `bubblewrap ${version}${filter === null ? " without a filter of system calls" : ""}`,
    user: root ? buildUser : null,
    launch: (line, place, variables) => {
      const env = {
        ...toolDefaults(inside.cache, parts),
        ...variables,
        PATH: [...binOf(place), inside.path].join(delimiter),
        HOME: inside.home,
        ...toolPlaces(inside, parts.caFile === null ? null : inside.ca),
        ...(parts.hasWay ? wayVariables(line, variables) : {})
      }
      const options = [
        ...isolation(root),
        ...system(),
        ...tools(parts),
        ...language(place),
        ...["--perms", "0755", "--dir", "/home", "--perms", "0777", "--tmpfs", inside.home],
        ...["--bind", place.cache, inside.cache],
        ...[".npmrc", ".yarnrc.yml"].flatMap((name) =>
          readOnly(join(parts.etc, name.slice(1)), `${inside.home}/${name}`)
        ),
        ...["--bind", place.app, inside.app, "--chdir", inside.app],
        // What bubblewrap made to hold the mounts, not the mounts themselves.
        ...["--remount-ro", "/", "--clearenv"],
        ...Object.entries(env).flatMap(([name, value]) => ["--setenv", name, value])
      ]
      return {
        file: program,
        args: [
          ...["--args", "3", "--info-fd", "4", "--block-fd", "5"],
          ...(filter === null ? [] : ["--seccomp", "6"]),
          "--",
          ...(root ? become : []),
          ...["/bin/sh", "-c"],
          ...(parts.hasWay
            ? [opening(line, `${inside.node}/node`, inside.way), "sh", line]
            : [line])
        ],
        env: { PATH: parts.searchPath },
        cwd: "/",
        sandbox: {
          options: options.map((option) => `${option}\0`).join(""),
          hasWay: parts.hasWay,
          filter
        }
      }
    }
  }
}

/** `user`: null when even that is not possible and steps run as the platform's own user. */
export const plain = (why: string, user: number | null, parts: SandboxParts): Sandbox => ({
  level: "plain",
  description: `not sandboxed: ${why}; builds run as ${
    user === null ? "the platform's own user" : `user ${user}`
  } and see what that user may see`,
  user,
  launch: (line, place, variables) => ({
    file: "/bin/sh",
    args: ["-c", line],
    env: {
      ...toolDefaults(place.cache, parts),
      ...variables,
      PATH: [
        ...(parts.toolchain.npm === null ? [] : [join(parts.etc, "bin")]),
        ...binOf(place),
        parts.toolchain.node.bin,
        parts.searchPath,
        "/usr/local/bin:/usr/bin:/bin"
      ].join(delimiter),
      HOME: place.home,
      ...toolPlaces({ cache: place.cache, npmrc: join(parts.etc, "npmrc") }, parts.caFile)
    },
    cwd: place.app,
    ...(user === null ? {} : { user })
  })
})

/** Paths inside bubblewrap: a Node.js prefix as its own installer would lay it out. */
const inside = {
  app: "/app",
  home: "/home/build",
  cache: "/home/build/.npm",
  npmrc: "/opt/node/etc/npmrc",
  ca: "/etc/ssl/build-ca.crt",
  way: "/opt/node/etc/way.cjs",
  node: "/opt/node/bin",
  path: "/opt/node/bin:/usr/local/bin:/usr/bin:/bin"
}

const binOf = ({ language }: Workplace) => (language ? [language.bin] : [])

/** At its own place: installations hold absolute paths. */
const language = ({ language }: Workplace): ReadonlyArray<string> =>
  !language || `${language.root}/`.startsWith("/usr/") ? [] : readOnly(language.root, language.root)

const isolation = (root: boolean): ReadonlyArray<string> => [
  ...["--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts"],
  ...["--unshare-cgroup-try", "--hostname", "build"],
  ...["--die-with-parent", "--new-session", "--cap-drop", "ALL"],
  // Only for the change of user below; the step itself has none of them.
  ...(root
    ? ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"].flatMap((name) => ["--cap-add", name])
    : ["--unshare-user"]),
  ...["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp"]
]

const become = [
  "setpriv",
  `--reuid=${buildUser}`,
  `--regid=${buildUser}`,
  ...["--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
]

const system = (): ReadonlyArray<string> => [
  ...readOnly("/usr", "/usr"),
  ...["/bin", "/sbin", "/lib", "/lib32", "/lib64"].flatMap(asOnHost),
  ...["--perms", "0755", "--dir", "/etc", "--perms", "0755", "--dir", "/etc/ssl"],
  // By name: these folders as a whole hold keys too.
  ...[
    "ld.so.cache",
    "alternatives",
    "ssl/certs",
    "ssl/openssl.cnf",
    "pki/tls/certs",
    "pki/ca-trust"
  ]
    .map((name) => `/etc/${name}`)
    .flatMap((path) => readOnly(path, path)),
  // Programs of systems that keep them elsewhere.
  ...readOnly("/nix/store", "/nix/store")
]

const tools = ({ toolchain: { node, npm }, etc, caFile }: SandboxParts): ReadonlyArray<string> => [
  ...["/opt", "/opt/node", "/opt/node/bin", "/opt/node/include", "/opt/node/etc"].flatMap(
    (path) => ["--perms", "0755", "--dir", path]
  ),
  ...readOnly(join(node.bin, "node"), "/opt/node/bin/node"),
  ...readOnly(join(node.bin, "..", "include", "node"), "/opt/node/include/node"),
  ...readOnly(join(etc, "npmrc"), inside.npmrc),
  ...readOnly(join(etc, "way.cjs"), inside.way),
  ...["passwd", "group", "hosts", "nsswitch.conf"].flatMap((name) =>
    readOnly(join(etc, name), `/etc/${name}`)
  ),
  ...(caFile === null ? [] : readOnly(caFile, inside.ca)),
  ...(npm === null
    ? []
    : [
        ...["/opt/node/lib", "/opt/node/lib/node_modules"].flatMap((path) => [
          ...["--perms", "0755", "--dir", path]
        ]),
        ...readOnly(npm.directory, "/opt/node/lib/node_modules/npm"),
        ...["npm", "npx"].flatMap((name) => [
          "--symlink",
          `../lib/node_modules/npm/bin/${name}-cli.js`,
          `/opt/node/bin/${name}`
        ])
      ])
]

const readOnly = (from: string, to: string): ReadonlyArray<string> =>
  existsSync(from) ? ["--ro-bind", realpathSync(from), to] : []

/** `/bin` is a link to `usr/bin` on most systems and a directory on some. */
const asOnHost = (path: string): ReadonlyArray<string> => {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return []
  return stat.isSymbolicLink() ? ["--symlink", readlinkSync(path), path] : readOnly(path, path)
}
