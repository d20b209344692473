/**
 * Counts what visitors and processes of each stage do. A request costs a listener and a few additions;
 * everything else is worked out by whoever asks.
 */
import type { ServerResponse } from "node:http"
import type { Duplex } from "node:stream"

export interface Meter {
  readonly answers: Record<string, number>
  /** One place more than there are bounds: the slower ones. */
  readonly durations: Array<number>
  durationSum: number
  inFlight: number
  upgraded: number
  starts: number
  restarts: number
  droppedLines: number
  /** Ended and left out runs of a schedule, by outcome. */
  readonly runs: Record<string, number>
}

export interface Meters {
  readonly of: (stage: string) => Meter
  /**
   * Counts an answer when it is over, and a connection that asked for an upgrade while it is open.
   * Null: no service is asked, for its host is unknown or the request is none.
   */
  readonly enter: (stage: string | null, client: ServerResponse | Duplex) => void
  /** Those for whom no service was asked. */
  readonly unmatched: number
  readonly all: () => ReadonlyArray<readonly [stage: string, meter: Meter]>
  readonly forget: (stage: string) => void
}

/** Seconds; those of Prometheus' own libraries and two below, because a file takes less than 5 ms. */
export const durationBounds = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10
] as const

export const makeMeters = (): Meters => {
  const meters = new Map<string, Meter>()
  let unmatched = 0
  const of = (stage: string): Meter => {
    const held = meters.get(stage)
    if (held !== undefined) return held
    const made = emptyMeter()
    meters.set(stage, made)
    return made
  }
  return {
    of,
    enter: (stage, client) => {
      if (stage === null) unmatched += 1
      else if ("statusCode" in client) answer(of(stage), client)
      else tunnel(of(stage), client)
    },
    get unmatched() {
      return unmatched
    },
    all: () => [...meters],
    forget: (stage) => void meters.delete(stage)
  }
}

const answer = (meter: Meter, response: ServerResponse): void => {
  const began = performance.now()
  meter.inFlight += 1
  response.once("close", () => {
    meter.inFlight -= 1
    count(meter, response.headersSent ? response.statusCode : 0, performance.now() - began)
  })
}

const tunnel = (meter: Meter, socket: Duplex): void => {
  meter.upgraded += 1
  socket.once("close", () => {
    meter.upgraded -= 1
  })
}

const count = (meter: Meter, status: number, ms: number): void => {
  const digit = String(Math.floor(status / 100))
  meter.answers[digit] = (meter.answers[digit] ?? 0) + 1
  const seconds = ms / 1000
  meter.durationSum += seconds
  let place = 0
  while (place < durationBounds.length && seconds > (durationBounds[place] ?? 0)) place += 1
  meter.durations[place] = (meter.durations[place] ?? 0) + 1
}

const emptyMeter = (): Meter => ({
  answers: {},
  durations: [...durationBounds.map(() => 0), 0],
  durationSum: 0,
  inFlight: 0,
  upgraded: 0,
  starts: 0,
  restarts: 0,
  droppedLines: 0,
  runs: {}
})
