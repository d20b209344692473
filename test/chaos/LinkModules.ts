/** Lets a copy of the tree run: its packages are its own, what others wrote is this tree's. */
import { mkdirSync, readdirSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { root } from "./Report.ts"

const ours = "@deploy-mcp"

export const linkModules = (copy: string): void => {
  const modules = join(copy, "node_modules")
  mkdirSync(join(modules, ours), { recursive: true })
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (name !== ours) symlinkSync(join(root, "node_modules", name), join(modules, name))
  }
  for (const name of readdirSync(join(copy, "packages"))) {
    symlinkSync(join(copy, "packages", name), join(modules, ours, name))
  }
}
