/** The edge's own log: one short line for each thing an operator may ask about. No secrets. */
export type Log = (message: string) => void

export const stderrLog: Log = (message) => {
  process.stderr.write(`${new Date().toISOString()} edge ${message}\n`)
}

/** What is worth saying of something caught: its message, never its stack. */
export const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)
