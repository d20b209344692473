/** Small files that programs look for in `/etc`, and the rules of a slot's own network. */
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { EgressPolicy } from "@deploy-mcp/domain/node/EgressPolicy"
import { type Resolver, slotRules } from "./EgressRules.ts"

/** HOME inside of the sandbox. */
export const serviceHome = "/home/service"

/** With a network of its own that leads nowhere, and the host's resolvers for a shared one. */
export const writeSlotFiles = async (
  files: string,
  policy: EgressPolicy = { reach: "none", allow: [] },
  resolver: Resolver | null = null
): Promise<void> => {
  const etc = join(files, "etc")
  await mkdir(etc, { recursive: true, mode: 0o755 })
  const texts = {
    "etc/passwd": `root:x:0:0:root:/root:/bin/sh\nservice:x:65534:65534:service:${serviceHome}:/bin/sh\n`,
    "etc/group": "root:x:0:\nservice:x:65534:\n",
    // Without it `localhost` has no address.
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/resolv.conf": resolver ? `nameserver ${resolver.address}\n` : await hostResolvers(),
    "fence.nft": slotRules(policy, resolver)
  }
  for (const [name, text] of Object.entries(texts)) {
    await writeFile(join(files, name), text)
    // Whatever mask the edge was started with.
    await chmod(join(files, name), 0o644)
  }
  await chmod(etc, 0o755)
}

const hostResolvers = async (): Promise<string> =>
  (await readFile("/etc/resolv.conf", "utf8").catch(() => ""))
    .split("\n")
    .filter((line) => /^(nameserver|search|options) [\w.:% -]+$/.test(line))
    .map((line) => `${line}\n`)
    .join("")
