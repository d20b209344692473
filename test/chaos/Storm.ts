/** Which faults a seed plants, and how many. Asked at each call to a provider and each commit. */
import type { Chance } from "@deploy-mcp/domain/chaos/Chance"
import type { Verdict } from "@deploy-mcp/domain/chaos/Faults"
import type { SimulatedTime } from "./Time.ts"

export interface Storm {
  readonly verdict: (call: string) => Verdict
  readonly end: () => void
}

interface Outage {
  readonly service: string
  readonly from: number
  readonly until: number
}

const ok: Verdict = { kind: "ok" }

export const noStorm: Storm = { verdict: () => ok, end: () => {} }

/** One fault in a life: what becomes of the call at this place, counted from 0. */
export const only = (place: number, planted: Verdict): Storm => {
  let calls = 0
  return {
    verdict: () => {
      calls += 1
      return calls === place + 1 ? planted : ok
    },
    end: () => {}
  }
}

/** `mild`: what a retry gets over, so that the end is that of a life without faults. */
export const stormOf = (chance: Chance, time: SimulatedTime, mild: boolean): Storm => {
  let over = false
  const rate = chance.pick([0.01, 0.04, 0.1, 0.2])
  const crashes = chance.pick([0, 0.05, 0.3])
  const outages: ReadonlyArray<Outage> =
    mild || chance.happens(0.6)
      ? []
      : [0, 1].map(() => {
          const from = chance.below(60_000)
          const service = chance.pick(["git", "build", "deploy"])
          return { service, from, until: from + chance.below(20_000) }
        })
  const inARow = new Map<string, number>()

  const planted = (call: string): Verdict => {
    const inOutage = outages.some(
      ({ from, service, until }) =>
        call.startsWith(service) && time.elapsed >= from && time.elapsed < until
    )
    if (inOutage) return { kind: "error", when: "before" }
    if (call === "database.commit") {
      return chance.happens((rate * crashes) / 4) ? { kind: "crash", when: side(chance) } : ok
    }
    if (!chance.happens(rate)) return ok
    if (chance.happens(crashes)) return { kind: "crash", when: side(chance) }
    const roll = chance.below(10)
    if (roll < 5) return { kind: "error", when: side(chance) }
    if (roll < 7) return { kind: "slow", millis: chance.pick([1, 50, 900, mild ? 900 : 7_000]) }
    if (roll < 8) return { kind: "hang", millis: mild ? 2_000 : 1_000 * (1 + chance.below(40)) }
    return roll < 9 ? { kind: "twice" } : { kind: "partial" }
  }

  return {
    verdict: (call) => {
      if (over) return ok
      const given = planted(call)
      const failures = inARow.get(call) ?? 0
      const fails = given.kind === "error" || given.kind === "hang" || given.kind === "partial"
      if (fails && mild && failures >= 2) return ok
      inARow.set(call, fails ? failures + 1 : 0)
      return given
    },
    end: () => {
      over = true
    }
  }
}

const side = (chance: Chance) => (chance.happens(0.5) ? "before" : "after")
