/** A name server's way of reading zone files, for the test: it shares no code with the provider. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { DnsObserved, DnsQuestion } from "@deploy-mcp/domain/conformance/DnsConformance"
import { Host } from "@deploy-mcp/domain/Provider"
import { Effect, Layer } from "effect"

/** A folder of its own. */
export const world = Layer.effect(
  Host,
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "zone-file-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  ).pipe(
    Effect.map((directory) => ({ directory, artifacts: directory, node: { bin: "", version: "" } }))
  )
)

export const observe = ({
  zone,
  name,
  type
}: DnsQuestion): Effect.Effect<DnsObserved, never, Host> =>
  Host.use(({ directory }) =>
    Effect.sync(() => {
      const file = join(directory, `${zone}.zone`)
      if (!existsSync(file)) return { code: "REFUSED", values: [] }
      const lines = readFileSync(file, "utf8")
        .trim()
        .split("\n")
        .map((line) => line.split(" "))
      const owner = ownerOf(new Set(lines.map(([owner = ""]) => owner)), `${name}.`)
      if (owner === undefined) return { code: "NXDOMAIN", values: [] }
      const found = lines.filter(([at, , , kind]) => at === owner && kind === type)
      return { code: "NOERROR", values: found.map((line) => shown(type, line.slice(4))) }
    })
  )

const ownerOf = (owners: ReadonlySet<string>, name: string): string | undefined => {
  const exists = (wanted: string) => [...owners].some((at) => `.${at}`.endsWith(`.${wanted}`))
  if (exists(name)) return name
  let above = name
  while (!exists(above)) above = above.slice(above.indexOf(".") + 1)
  return owners.has(`*.${above}`) ? `*.${above}` : undefined
}

const shown = (type: string, data: ReadonlyArray<string>): string => {
  if (type === "SOA") return data[2] ?? ""
  if (type !== "TXT") return data.join(" ").replace(/\.$/u, "")
  return data.join(" ").replace(/^"|"$/gu, "").replaceAll('" "', "").replace(/\\(.)/gu, "$1")
}
