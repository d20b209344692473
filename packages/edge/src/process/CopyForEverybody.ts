/** For tests: sources and runtime where a user without rights can read them. */
import { execFile } from "node:child_process"
import { chmod, copyFile, cp, mkdir, mkdtemp, symlink } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"

const run = promisify(execFile)
const domain = new URL("../../../domain", import.meta.url).pathname
const isSource = (path: string) => !path.includes("/node_modules")

/** A folder with `process`, the sources beside this file, and `bin/node`; `tmp` can be written to. */
export const copyForEverybody = async (): Promise<string> => {
  const place = await mkdtemp(join(tmpdir(), "edge-unprivileged-"))
  await chmod(place, 0o755)
  await cp(new URL(".", import.meta.url).pathname, join(place, "process"), { recursive: true })
  // Node runs no TypeScript inside of node_modules: there it is a link, as in a workspace.
  await cp(domain, join(place, "domain"), { recursive: true, filter: isSource })
  await mkdir(join(place, "node_modules", "@deploy-mcp"), { recursive: true })
  await symlink("../../domain", join(place, "node_modules", "@deploy-mcp", "domain"))
  await mkdir(join(place, "bin"))
  await copyFile(process.execPath, join(place, "bin", "node"))
  await mkdir(join(place, "tmp"))
  await chmod(join(place, "tmp"), 0o777)
  await run("chmod", ["-R", "go+rX", place])
  return place
}
