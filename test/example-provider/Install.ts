/** The package as a stranger gets it: packed, and installed from the tarball without a registry. */
import { execFile } from "node:child_process"
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const here = dirname(fileURLToPath(import.meta.url))
const run = promisify(execFile)

/** Puts the package into `home` and names it in the settings there, as the instance `dns.mine`. */
export const install = async (home: string): Promise<void> => {
  const source = join(home, "package-source")
  cpSync(here, source, { recursive: true })
  symlinkSync(join(here, "../../node_modules"), join(source, "node_modules"))
  const { stdout } = await npm(source, "pack", "--ignore-scripts=false", "--pack-destination", home)
  const { name } = JSON.parse(readFileSync(join(source, "package.json"), "utf8"))
  const tarball = /[\w.-]+\.tgz/u.exec(stdout)?.[0] ?? ""
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, "package.json"), "{}")
  await npm(home, "install", "--offline", "--ignore-scripts", join(home, tarball))
  writeFileSync(join(home, "deploy-mcp.toml"), `[dns.mine]\nmodule = "${name}"\n`)
}

const npm = (cwd: string, ...args: ReadonlyArray<string>) =>
  run("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], { cwd })
