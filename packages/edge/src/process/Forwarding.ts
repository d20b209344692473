/**
 * Lets the host hand packets on between slots and its own links, as narrowly as the kernel allows: for
 * these links alone. A link that did not forward before is guarded by our table against being used as
 * a router by its neighbours, and stops forwarding with the last table that guards it.
 */
import { readFile, writeFile } from "node:fs/promises"
import type { AllowedRange } from "@deploy-mcp/domain/node/EgressPolicy"
import { mustRun, runProgram } from "./Program.ts"

export interface ForwardingTools {
  readonly ip: string
  readonly nft: string
}

/** Links towards the internet and the allowed ranges, as they are now. */
export const findUplinks = async (
  { ip }: ForwardingTools,
  allow: ReadonlyArray<AllowedRange>
): Promise<ReadonlyArray<string>> => {
  const questions = [
    ["route", "show", "default"],
    ...allow.map(({ address }) => ["route", "get", address])
  ]
  const answers = await Promise.all(
    questions.map((words) => runProgram(ip, ["-o", "-4", ...words]))
  )
  const links = answers.flatMap(({ stdout }) => [...stdout.matchAll(/\bdev (\S+)/g)])
  return [...new Set(links.flatMap((found) => found[1] ?? []))].filter((link) => link !== "lo")
}

/** Those that forward nothing by themselves, or only because of a table like ours. */
export const findGuarded = async (
  tools: ForwardingTools,
  uplinks: ReadonlyArray<string>
): Promise<ReadonlyArray<string>> => {
  const already = new Set((await guardedLinks(tools)).flatMap(({ links }) => links))
  const wanted = await Promise.all(
    uplinks.map(async (link) => already.has(link) || !(await forwards(link)))
  )
  return uplinks.filter((_, index) => wanted[index])
}

/** Only where rules stand already. */
export const forward = (link: string): Promise<void> => writeFile(settingOf(link), "1")

/** Removes a table; links that nobody else needs stop forwarding first. */
export const removeTable = async (tools: ForwardingTools, table: string): Promise<void> => {
  const all = await guardedLinks(tools)
  const own = all.find((one) => one.table === table)
  if (!own) return
  const others = new Set(all.filter((one) => one !== own).flatMap(({ links }) => links))
  // Somebody who turned all forwarding on meanwhile needs it.
  const unneeded = (await forwards("all")) ? [] : own.links.filter((link) => !others.has(link))
  for (const link of unneeded) await writeFile(settingOf(link), "0").catch(() => {})
  await mustRun(tools.nft, ["delete", "table", "inet", table])
}

export const tablePrefix = "deploy-mcp-"

interface Guards {
  readonly table: string
  readonly links: ReadonlyArray<string>
}

const guardedLinks = async ({ nft }: ForwardingTools): Promise<ReadonlyArray<Guards>> => {
  const { stdout } = await runProgram(nft, ["list", "tables", "inet"])
  const tables = [...stdout.matchAll(/^table inet (\S+)$/gm)]
    .flatMap((found) => found[1] ?? [])
    .filter((table) => table.startsWith(tablePrefix))
  return await Promise.all(
    tables.map(async (table) => {
      const set = await runProgram(nft, ["list", "set", "inet", table, "guarded"])
      const elements = /elements = \{([^}]*)\}/.exec(set.stdout)?.[1] ?? ""
      return { table, links: [...elements.matchAll(/"([^"]+)"/g)].flatMap((one) => one[1] ?? []) }
    })
  )
}

const forwards = async (link: string): Promise<boolean> =>
  (await readFile(settingOf(link), "utf8").catch(() => "0")).trim() === "1"

const settingOf = (link: string): string => `/proc/sys/net/ipv4/conf/${link}/forwarding`
