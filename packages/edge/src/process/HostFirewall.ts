/**
 * Docker and ufw leave chains that drop what no rule of theirs accepts; an accept in our own table does
 * not override that. Where a chain does so, it gets rules for our links alone, marked with our table.
 */
import { findProgram, mustRun, runProgram, systemDirectories } from "./Program.ts"

export interface Openings {
  readonly table: string
  readonly linkPrefix: string
  /** Where services ask for names. */
  readonly resolver: string | null
}

export const openHostFirewall = async (openings: Openings): Promise<void> => {
  const iptables = await findProgram("iptables", systemDirectories)
  if (!iptables) return
  const { linkPrefix, resolver, table } = openings
  const links = `${linkPrefix}+`
  const accept = ["-m", "comment", "--comment", table, "-j", "ACCEPT"]
  const established = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"]
  const rules = {
    FORWARD: [
      ["-i", links],
      ["-o", links, ...established]
    ],
    // The resolver listens at ports of its own choice; our table has refused all others already.
    INPUT: resolver === null ? [] : [["-i", links, "-d", `${resolver}/32`]]
  }
  for (const [chain, matches] of Object.entries(rules)) {
    const { stdout } = await runProgram(iptables, ["-w", "5", "-S", chain])
    if (!stdout.startsWith(`-P ${chain} DROP`)) continue
    for (const match of matches) {
      await mustRun(iptables, ["-w", "5", "-I", chain, ...match, ...accept])
    }
  }
}

export const closeHostFirewall = async (table: string): Promise<void> => {
  const iptables = await findProgram("iptables", systemDirectories)
  if (!iptables) return
  for (const chain of ["FORWARD", "INPUT"]) {
    const { stdout } = await runProgram(iptables, ["-w", "5", "-S", chain])
    for (const line of stdout.split("\n")) {
      const words = line.replaceAll('"', "").split(" ")
      if (words[0] !== "-A" || words[words.indexOf("--comment") + 1] !== table) continue
      await runProgram(iptables, ["-w", "5", "-D", ...words.slice(1)])
    }
  }
}
