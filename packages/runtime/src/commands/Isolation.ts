/** How services are fenced on the node, in sentences for people and agents. */
import type { Isolation } from "@deploy-mcp/domain/node/NodeProtocol"

export const isolationLines = (isolation: Isolation): ReadonlyArray<string> => [
  isolation.refused === undefined
    ? levels[isolation.level]
    : `No service is run: ${isolation.refused}`,
  isolation.network
    ? "Each process has its own network namespace."
    : "Services share the host's network, so a fixed port cannot overlap with its successor. Services of other owners are refused (no_sandbox).",
  limitsNote(isolation),
  ...isolation.notes
]

const levels: Readonly<Record<Isolation["level"], string>> = {
  bubblewrap:
    "Services run in bubblewrap sandboxes without capabilities; the kernel is shared, so this is not a hard boundary.",
  gvisor: "Services run in gVisor, each in a kernel of its own, inside bubblewrap sandboxes.",
  container:
    "Services run in containers without capabilities; the kernel is shared, so this is not a hard boundary.",
  plain:
    "Services run without a sandbox: deploy only code that you trust. Services of other owners are refused (no_sandbox)."
}

/** Which limits bite, said plainly. */
export const limitsNote = (isolation: Isolation | null): string => {
  if (isolation === null) return "The edge is being started; limits are not known yet."
  const enforced = Object.entries(isolation.limits).flatMap(([name, on]) => (on ? [name] : []))
  const missing = Object.entries(isolation.limits).flatMap(([name, on]) => (on ? [] : [name]))
  if (missing.length === 0) return `Enforced: ${enforced.join(", ")}.`
  const lacking = `Not enforced on this machine: ${missing.join(", ")}.`
  return enforced.length === 0 ? lacking : `Enforced: ${enforced.join(", ")}. ${lacking}`
}
