/**
 * Loads the host's rules and sees to it that they stay: a restart of the host's firewall takes all
 * tables along, and a host may get its way to the internet only after the edge has started.
 */
import { readdir } from "node:fs/promises"
import { setTimeout as pause } from "node:timers/promises"
import { type HostRules, hostRules } from "./EgressRules.ts"
import {
  type ForwardingTools,
  findGuarded,
  findUplinks,
  forward,
  removeTable
} from "./Forwarding.ts"
import { closeHostFirewall, openHostFirewall } from "./HostFirewall.ts"
import { mustRun, runProgram } from "./Program.ts"

export interface StandingRules {
  /** Lets packets pass between slots and the host's own links, now and whenever there are new ones. */
  readonly open: () => Promise<void>
  /** Whether the host itself has a way to the internet or to what is allowed. */
  readonly hasWay: boolean
  /** Removes the rules and whatever else was set up for them. */
  readonly close: () => Promise<void>
}

export const standRules = async (
  tools: ForwardingTools,
  rules: Omit<HostRules, "guarded">
): Promise<StandingRules> => {
  const { linkPrefix, policy, resolver, table } = rules
  const closing = new AbortController()
  let guarded: ReadonlyArray<string> = []
  let known: ReadonlyArray<string> = []
  let passes = false

  const uplinksNow = () => (rules.probeLink === null ? [] : findUplinks(tools, policy.allow))
  const load = async () => {
    known = await uplinksNow()
    // What was guarded stays so: by now it forwards, and nobody else knows why.
    guarded = [...new Set([...guarded, ...(await findGuarded(tools, known))])]
    await mustRun(tools.nft, ["-f", "-"], hostRules({ ...rules, guarded }))
    await closeHostFirewall(table)
    if (known.length > 0) {
      await openHostFirewall({ table, linkPrefix, resolver: resolver?.address ?? null })
    }
    if (passes) await pass()
  }
  const pass = async () => {
    passes = true
    const there = new Set(await readdir("/proc/sys/net/ipv4/conf"))
    for (const link of guarded) if (there.has(link)) await forward(link)
  }
  const stands = async () => {
    const { code } = await runProgram(tools.nft, ["list", "chain", "inet", table, "judge"])
    return code === 0 && (await uplinksNow()).every((link) => known.includes(link))
  }
  const keep = async () => {
    for (;;) {
      await pause(lookMs, undefined, { signal: closing.signal, ref: false }).catch(() => {})
      if (closing.signal.aborted) return
      // What fails now is tried again; until then services have only the fence in their own network.
      if (!(await stands())) await load().catch(() => {})
    }
  }
  const remove = async () => {
    await closeHostFirewall(table)
    await removeTable(tools, table)
  }
  try {
    await load()
  } catch (error) {
    await remove()
    throw error
  }
  const kept = keep()
  return {
    open: pass,
    hasWay: known.length > 0,
    close: async () => {
      closing.abort()
      await kept
      await remove()
    }
  }
}

/** Milliseconds between two looks; one costs as much as listing a chain. */
const lookMs = 5_000
