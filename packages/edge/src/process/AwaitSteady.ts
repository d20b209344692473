/** Waits until a process that has just been started, and has no port to ask, has stayed up for a while. */
import { setTimeout as pause } from "node:timers/promises"
import type { ProcessWorkload } from "@deploy-mcp/domain/node/NodeProtocol"

/** What lacks a module, a variable or its queue ends sooner as a rule. */
export const steadyMs = 3_000

/** Null: the signal ended it. */
export const awaitSteady = ({ startTimeout }: ProcessWorkload, signal: AbortSignal) =>
  pause(Math.min(steadyMs, startTimeout), { endpoint: null, failure: null } as const, {
    signal
  }).catch(() => null)
