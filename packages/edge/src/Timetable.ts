/**
 * The runs of one stage that is on a schedule. A due run that finds another one under way is left out;
 * what was due while nobody looked is made up for by one run, however much it was. A run is written
 * down before it is started, so what is due is never started twice, also across a kill.
 */
import { type Cron, nextAfter, parseCron } from "@deploy-mcp/domain/node/Cron"
import type {
  ReleaseObserved,
  RunObserved,
  RunSchedule
} from "@deploy-mcp/domain/node/NodeProtocol"
import { reasonOf } from "./Log.ts"
import type { RunEnd, RunningJob } from "./process/Processes.ts"
import type { RunRecord, RunRecords } from "./RunRecords.ts"
import type { StartQueue } from "./StartQueue.ts"
import type { Time } from "./Time.ts"

/** What a release does when it is due. */
export interface Job {
  readonly release: string
  readonly schedule: RunSchedule
  readonly start: () => RunningJob
}

export interface Timetable {
  /** From now on runs are of this release; one under way goes on. Null: nothing is on a schedule. */
  readonly give: (job: Job | null) => void
  /** Undefined: nothing is on a schedule. */
  readonly observed: ReleaseObserved["schedule"]
  /** Starts nothing any more; resolves when nothing runs. */
  readonly close: (graceMs: number) => Promise<void>
}

export interface TimetableOptions {
  readonly stage: string
  readonly time: Time
  readonly starts: StartQueue
  readonly records: RunRecords
  readonly say: (release: string, words: string) => void
  /** `skipped`: another one was under way. */
  readonly onEnd: (outcome: RunEnd["outcome"] | "skipped") => void
  readonly onChange: () => void
}

/** The clock can be set at any time, so it is looked at this often. */
const lookEveryMs = 5_000
/** Later than this is worth a word. */
const lateMs = 60_000

export const makeTimetable = (options: TimetableOptions): Timetable => {
  const { records, stage, starts, time } = options
  let job: Job | null = null
  let cron: Cron | null = null
  let record: RunRecord = records.get(stage) ?? { cron: null, since: time.now(), last: null }
  let running: { readonly number: number; readonly job: RunningJob | null } | null = null
  let forget = (): void => {}
  let closed = false

  const keep = (change: Partial<RunRecord>): Promise<void> => {
    record = { ...record, ...change }
    return records.put(stage, record)
  }
  const next = (): number | null => (cron === null ? null : nextAfter(cron, record.since))

  const give = (given: Job | null): void => {
    if (given === job || closed) return
    job = given
    const parsed = given === null ? null : parseCron(given.schedule.cron)
    cron = typeof parsed === "string" ? null : parsed
    if (typeof parsed === "string" && given !== null)
      options.say(given.release, `It never runs: ${parsed}.`)
    const text = given?.schedule.cron ?? null
    if (text !== record.cron) void keep({ cron: text, since: time.now() })
    const { last } = record
    if (last !== null && last.ended === null && running === null) {
      void keep({ last: { ...last, ended: { outcome: "interrupted", code: null, ms: null } } })
      options.onEnd("interrupted")
      if (given !== null)
        options.say(given.release, `run ${last.number} was interrupted by the end of its node`)
    }
    look()
    options.onChange()
  }

  const look = (): void => {
    forget()
    if (job === null || cron === null || closed) return
    const now = time.now()
    if (record.since - now > lateMs) void keep({ since: now })
    const due = next()
    if (due !== null && due <= now) begin(job, due, now)
    const wait = (next() ?? Number.POSITIVE_INFINITY) - now
    forget = time.after(Math.max(1, Math.min(wait, lookEveryMs)), look)
  }

  const begin = (of: Job, due: number, now: number): void => {
    if (running !== null) {
      void keep({ since: now })
      options.say(
        of.release,
        `the run due at ${at(due)} is left out: run ${running.number} goes on`
      )
      options.onEnd("skipped")
      return
    }
    const number = (record.last?.number ?? 0) + 1
    running = { number, job: null }
    const kept = keep({ since: now, last: { number, startedAt: now, ended: null } })
    options.onChange()
    starts.add(async () => {
      await kept
      if (now - due > lateMs)
        options.say(of.release, `run ${number} is late: it was due at ${at(due)}`)
      await run(of, number)
    }, false)
  }

  /** Resolves when its program has been launched. */
  const run = async (of: Job, number: number): Promise<void> => {
    const startedAt = time.now()
    const ended = (end: RunEnd): void => {
      running = null
      const ms = Math.max(0, time.now() - startedAt)
      const { code, outcome } = end
      const last: RunObserved = { number, startedAt, ended: { outcome, code, ms } }
      void keep({ last })
      options.onEnd(outcome)
      options.say(of.release, `run ${number} ${howItEnded(end, ms)}`)
      options.onChange()
    }
    if (closed) return ended({ outcome: "interrupted", code: null, cause: "" })
    try {
      const started = of.start()
      running = { number, job: started }
      options.say(of.release, `run ${number} started`)
      void started.ended.then(ended)
      await started.launched
    } catch (error) {
      ended({ outcome: "failed", code: null, cause: reasonOf(error) })
    }
  }

  return {
    give,
    get observed() {
      return job === null ? undefined : { next: next(), last: record.last }
    },
    close: async (graceMs) => {
      closed = true
      forget()
      const under = running?.job
      if (under === null || under === undefined) return
      await under.stop(graceMs)
      // What is told of its end comes first.
      await under.ended
    }
  }
}

const at = (due: number): string => new Date(due).toISOString().slice(0, 16).replace("T", " ")

const howItEnded = ({ cause, code, outcome }: RunEnd, ms: number): string => {
  const after = `after ${(ms / 1000).toFixed(1)} s`
  if (outcome === "timed_out") return `was stopped ${after}, which is its time limit`
  if (outcome === "interrupted") return `was interrupted ${after}`
  if (code === null) return `failed ${after}: ${cause}`
  const plain = /with exit code \d+\.$/u.test(cause) || cause === ""
  return `ended with ${code} ${after}${plain ? "" : `: ${cause}`}`
}
