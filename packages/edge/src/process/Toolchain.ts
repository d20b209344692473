/**
 * Makes the directories of `workload.path` usable inside: what must be bound where, and the PATH
 * that results. A toolchain is more than its `bin`: `npm` there is a link into `../lib`.
 */
import { access, readdir, realpath, stat } from "node:fs/promises"
import { dirname, join } from "node:path"

export interface Bind {
  readonly source: string
  /** Absolute path inside. */
  readonly target: string
}

export interface Toolchain {
  readonly binds: ReadonlyArray<Bind>
  /** Directories in front of PATH, as they are called inside. */
  readonly path: ReadonlyArray<string>
  /** Directories that were refused. */
  readonly refused: ReadonlyArray<string>
}

export interface ToolchainRequest {
  readonly path: ReadonlyArray<string>
  readonly directory: string
  /** Never bound, nor anything that contains it. */
  readonly home: string
}

/** Visible in every sandbox already. */
const visible = ["/usr", "/bin", "/sbin", "/lib", "/lib64"]

export const findToolchain = async (request: ToolchainRequest): Promise<Toolchain> => {
  const binds: Array<Bind> = []
  const path: Array<string> = []
  const refused: Array<string> = []
  const bound = (target: string) =>
    visible.some((root) => within(root, target)) ||
    binds.some((bind) => within(bind.target, target))
  for (const directory of request.path) {
    if (within("/app", directory)) {
      path.push(directory)
      continue
    }
    if (within(request.directory, directory)) {
      path.push(`/app${directory.slice(request.directory.length)}`)
      continue
    }
    if (within(directory, request.home)) {
      refused.push(directory)
      continue
    }
    path.push(directory)
    if (bound(directory)) continue
    const root = await installation(directory, request.home)
    if (
      !(await stat(root).then(
        (found) => found.isDirectory(),
        () => false
      ))
    )
      continue
    binds.push({ source: root, target: root })
    for (const target of await linksOut(directory, root, request.home)) {
      if (!bound(target)) binds.push({ source: target, target })
    }
  }
  return { binds, path, refused }
}

/** `/opt/node` for `/opt/node/bin`, as long as it looks installed and the home is not in it. */
const installation = async (directory: string, home: string): Promise<string> => {
  const parent = dirname(directory)
  if (!directory.endsWith("/bin") || parent === "/" || within(parent, home)) return directory
  const [lib, include] = await Promise.all(
    ["lib", "include"].map((name) => exists(join(parent, name)))
  )
  return (lib && include) || (await isInstalledPackage(parent)) ? parent : directory
}

/** Packages that programs of the directory are links to. */
const linksOut = async (
  directory: string,
  root: string,
  home: string
): Promise<ReadonlyArray<string>> => {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => [])
  const links = entries.filter((entry) => entry.isSymbolicLink()).slice(0, 64)
  const targets = new Set<string>()
  for (const link of links) {
    const target = await realpath(join(directory, link.name)).catch(() => null)
    if (target === null || within(root, target)) continue
    const packageRoot = await packageOf(target)
    if (!within(packageRoot, home)) targets.add(packageRoot)
  }
  return [...targets]
}

/** The installed package that a file belongs to, else the file alone. */
const packageOf = async (file: string): Promise<string> => {
  for (let at = dirname(file); at !== "/"; at = dirname(at)) {
    if (await isInstalledPackage(at)) return at
  }
  return file
}

/** Not just any folder with a package.json: that could be somebody's whole project. */
const isInstalledPackage = async (directory: string): Promise<boolean> =>
  dirname(directory).includes("/node_modules") && (await exists(join(directory, "package.json")))

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false
  )

const within = (parent: string, path: string): boolean =>
  path === parent || path.startsWith(parent.endsWith("/") ? parent : `${parent}/`)
