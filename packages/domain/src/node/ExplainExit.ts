/** Why a process ended, in the words of the failure catalogue. */
import type { ProcessFailure, ProcessWorkload } from "./NodeProtocol.ts"

export interface Exit {
  readonly code: number | null
  readonly signal: string | null
  readonly outOfMemory: boolean
  /** False: it ended before the tenant's command line was reached. */
  readonly started: boolean
}

/** What is shown to people. */
export const evidenceLines = 20
/** What is looked through: a stack trace can push its own message out of the last twenty. */
export const keptLines = 200

export const explainExit = (
  exit: Exit,
  /** Nothing else listens where it does. */
  run: { readonly ownNetwork: boolean },
  workload: Pick<ProcessWorkload, "memory" | "port">,
  lines: ReadonlyArray<string>
): ProcessFailure => {
  const evidence = lines.slice(-evidenceLines)
  const text = lines.join("\n")
  const failure = (code: ProcessFailure["code"], cause: string, port: number | null = null) => ({
    code,
    cause,
    evidence,
    port
  })
  if (!exit.started) return failure("start_failed", "The sandbox could not be started.")
  if (exit.outOfMemory || /heap out of memory|Fatal process out of memory/i.test(text)) {
    return failure(
      "out_of_memory",
      `The process used more than its ${workload.memory} MiB of memory.`
    )
  }
  const taken = run.ownNetwork ? null : takenPort(text)
  if (taken !== null) {
    const port = taken === 0 ? workload.port : taken
    return failure("fixed_port", `Port ${port ?? "it wants"} is taken by another process.`, port)
  }
  const entry = /Cannot find module '(\/[^']*)'(?! imported)/.exec(text)?.[1]
  if (entry !== undefined && /requireStack: \[\]/.test(text)) {
    return failure("start_failed", `The file ${entry} does not exist.`)
  }
  const missing = missingModule(text)
  if (missing !== null) return failure("missing_module", `The module '${missing}' is missing.`)
  if (exit.code === 127) return failure("start_failed", `${commandIn(text)} does not exist.`)
  if (exit.code === 126) return failure("start_failed", `${commandIn(text)} can't be executed.`)
  return failure("exited", `The process ended with ${howItEnded(exit)}.`)
}

/** 0: some port, but its number is not said. Null: no port was taken. */
export const takenPort = (text: string): number | null => {
  if (!/EADDRINUSE|address already in use/i.test(text)) return null
  const after = /(?:EADDRINUSE|address already in use)[^\n]*?:(\d{2,5})\b/i.exec(text)?.[1]
  const before = /:(\d{2,5}): bind: address already in use/i.exec(text)?.[1]
  const field = /^\s*port: (\d{2,5})\b/m.exec(text)?.[1]
  return Number(before ?? after ?? field ?? 0)
}

const missingModule = (text: string): string | null =>
  /Cannot find (?:module|package) '([^']+)'/.exec(text)?.[1] ??
  /ModuleNotFoundError: No module named '([^']+)'/.exec(text)?.[1] ??
  null

/** Named by the shell that did not find it. */
const commandIn = (text: string): string => {
  const name = /^\S*sh: (?:\d+: |line \d+: )?(?:exec: )?(\S+): (?:command )?[\w ]*$/mu.exec(
    text
  )?.[1]
  return name === undefined ? "A command that starts it" : `The command '${name}'`
}

/** A shell and the sandbox report a signal as 128 and its number. */
const howItEnded = (exit: Exit): string => {
  const names: Record<number, string> = {
    134: "SIGABRT",
    137: "SIGKILL",
    139: "SIGSEGV",
    143: "SIGTERM"
  }
  const signal = exit.signal ?? names[exit.code ?? 0]
  return signal ? `signal ${signal}` : `exit code ${exit.code}`
}
