/** Time and turns of a simulated process: nothing moves by itself, and all of it can be ended at once. */
import type { Chance } from "@deploy-mcp/domain/chaos/Chance"
import { type Clock, Duration, Effect, type Scheduler } from "effect"

interface Timer {
  readonly at: number
  readonly seq: number
  readonly ring: () => void
}

/** 2026-01-01, so that what is printed reads like a date. */
const start = 1_767_225_600_000

/** One for a simulation; processes come and go in it. */
export class SimulatedTime {
  now = start
  private seq = 0
  private timers: Array<Timer> = []

  /** Milliseconds since the beginning. */
  get elapsed(): number {
    return this.now - start
  }

  after(millis: number, ring: () => void): () => void {
    this.seq += 1
    const timer: Timer = { at: this.now + Math.max(0, Math.ceil(millis)), seq: this.seq, ring }
    // Most timers are the newest and the latest, so the place is looked for from the end.
    let place = this.timers.length
    while (place > 0 && isLater(this.timers[place - 1], timer)) place -= 1
    this.timers.splice(place, 0, timer)
    return () => {
      const index = this.timers.indexOf(timer)
      if (index >= 0) this.timers.splice(index, 1)
    }
  }

  /** Goes to the next timer up to `until` and rings it; false: there is none, and it is `until` now. */
  step(until: number): boolean {
    const [next] = this.timers
    if (next === undefined || next.at > until) {
      this.now = Math.max(this.now, until)
      return false
    }
    this.timers.shift()
    this.now = Math.max(this.now, next.at)
    next.ring()
    return true
  }
}

const isLater = (one: Timer | undefined, other: Timer) => one !== undefined && one.at > other.at

/**
 * The turns of one simulated process. With `chance` a fiber is sent back to the end of the queue after any
 * number of steps; without, after the usual one. The queue keeps its order: the engine relies on that.
 */
export class Turns implements Scheduler.Scheduler {
  readonly executionMode = "async"
  /** Set when the process has ended: not one instruction of it runs any more. */
  dead = false
  private tasks: Array<() => void> = []
  private ops = 0
  private budget = 2048

  private readonly chance: Chance | null

  constructor(chance: Chance | null) {
    this.chance = chance
  }

  /** Whether there is something to do. */
  get ready(): boolean {
    return this.tasks.length > 0
  }

  shouldYield(): boolean {
    if (this.dead) return true
    this.ops += 1
    if (this.ops < this.budget) return false
    this.renew()
    return true
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return {
      scheduleTask: (task) => {
        if (!this.dead) this.tasks.push(task)
      },
      flush: () => {}
    }
  }

  runOne(): void {
    const task = this.tasks.shift()
    this.renew()
    task?.()
  }

  end(): void {
    this.dead = true
    this.tasks = []
  }

  private renew() {
    this.ops = 0
    this.budget = this.chance?.happens(0.3) ? 5 + this.chance.below(400) : 2048
  }
}

/** The clock that a process with these turns reads and sleeps by. */
export const clockOf = (time: SimulatedTime, turns: Turns): Clock.Clock => {
  const millis = () => time.now
  const nanos = () => BigInt(time.now) * 1_000_000n
  return {
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: nanos,
    monotonicTimeNanos: Effect.sync(nanos),
    sleep: (duration) => {
      const length = Duration.toMillis(duration)
      if (!Number.isFinite(length)) return Effect.never
      return Effect.callback<void>((resume) => {
        const cancel = time.after(length, () => {
          if (!turns.dead) resume(Effect.void)
        })
        return Effect.sync(cancel)
      })
    }
  }
}
