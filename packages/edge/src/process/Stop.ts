/** The wish that a process ends, heard by whatever its supervisor is waiting for. */
export interface Stop {
  /** One for all runs, so that restarts don't pile up listeners. */
  readonly signal: AbortSignal
  readonly requested: Promise<null>
  /** Milliseconds between SIGTERM and SIGKILL. */
  readonly graceMs: () => number
  /** The first one's time counts. */
  readonly request: (graceMs: number) => void
}

export const makeStop = (): Stop => {
  const stopping = new AbortController()
  let graceMs: number | null = null
  return {
    signal: stopping.signal,
    requested: new Promise((resolve) => {
      stopping.signal.addEventListener("abort", () => resolve(null), { once: true })
    }),
    graceMs: () => graceMs ?? 0,
    request: (grace) => {
      graceMs ??= grace
      stopping.abort()
    }
  }
}
