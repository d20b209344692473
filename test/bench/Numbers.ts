/** What a measurement says. */

export interface Summary {
  readonly n: number
  readonly min: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

export const summary = (samples: ReadonlyArray<number>): Summary => {
  const sorted = samples.toSorted((a, b) => a - b)
  const at = (share: number) =>
    sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
  return { n: sorted.length, min: at(0), p50: median(sorted), p95: at(0.95), p99: at(0.99) }
}

export const median = (samples: ReadonlyArray<number>): number => {
  const sorted = samples.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN
  return Number.isInteger(middle) ? (low + (sorted[middle] ?? low)) / 2 : low
}

/** Upper bounds in the row's unit; `ratio` is that of the medians, ours to the floor's. */
export interface Budget {
  readonly p50?: number
  readonly p95?: number
  readonly p99?: number
  readonly ratio?: number
  /** The same of what 95 in 100 keep. */
  readonly ratioOfP95?: number
  /** Of what is better when there is more of it. */
  readonly ratioAtLeast?: number
  /** Shown, but missing it is no failure. */
  readonly informational?: boolean
}

export interface Row {
  readonly what: string
  readonly unit: "ms" | "µs" | "MiB" | "req/s" | "a second" | "lines"
  readonly ours: Summary
  readonly floor: Summary | null
  /** What the floor is, in words. */
  readonly floorIs: string
  readonly ratio: number | null
  readonly budget: Budget
  readonly ok: boolean
  /** Milliseconds of processor time for one operation: control and edge, and their children. */
  readonly cpu: { readonly own: number; readonly children: number } | null
  /** Median milliseconds of what it consists of. */
  readonly parts: Readonly<Record<string, number>>
  readonly samples: { readonly ours: ReadonlyArray<number>; readonly floor: ReadonlyArray<number> }
}

export interface Measured {
  readonly what: string
  readonly unit?: Row["unit"]
  readonly ours: ReadonlyArray<number>
  readonly floor: ReadonlyArray<number>
  readonly floorIs: string
  readonly budget: Budget
  readonly cpu?: Row["cpu"]
  readonly parts?: Row["parts"]
}

export const row = (measured: Measured): Row => {
  const { what, unit = "ms", floorIs, budget, cpu = null, parts = {} } = measured
  const ours = summary(measured.ours)
  const floor = measured.floor.length === 0 ? null : summary(measured.floor)
  const ratio = floor === null ? null : ours.p50 / floor.p50
  const within = (value: number | null, limit: number | undefined) =>
    limit === undefined || (value !== null && value <= limit)
  const ok =
    within(ours.p50, budget.p50) &&
    within(ours.p95, budget.p95) &&
    within(ours.p99, budget.p99) &&
    within(ratio, budget.ratio) &&
    within(floor === null ? null : ours.p95 / floor.p95, budget.ratioOfP95) &&
    (budget.ratioAtLeast === undefined || (ratio !== null && ratio >= budget.ratioAtLeast))
  const samples = { ours: measured.ours, floor: measured.floor }
  return { what, unit, ours, floor, floorIs, ratio, budget, ok, cpu, parts, samples }
}
