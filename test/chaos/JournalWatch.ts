/**
 * Sees in the statements of the engine's journal where a workflow is: a step is asked for, its effect has
 * happened and is about to be written, it is written. Between two of these a crash can come.
 */

/** `effect`: not begun yet. `journal`: over, and not in the journal. `next`: in the journal. */
export const sides = ["effect", "journal", "next"] as const

export interface Boundary {
  /** What the journal calls the step, the same in each life: `Workflow/DeployService/1/activity/planBuild/1`. */
  readonly step: string
  /** What a crash here comes before. */
  readonly before: (typeof sides)[number]
}

export const nameOf = ({ before, step }: Boundary): string => `${step} before its ${before}`

export class JournalWatch {
  /** By the journal's id of their request. */
  private readonly steps = new Map<string, string>()
  /** Executions of each workflow, in the order in which they came. */
  private readonly executions = new Map<string, Array<string>>()
  private waiting: Array<Boundary> = []
  private within = false

  /** What is over once this statement runs, and not before it. */
  begins(sql: string, params: ReadonlyArray<unknown>): ReadonlyArray<Boundary> {
    if (!isReply(sql)) return []
    const step = this.steps.get(String(params[columnIn(sql, "request_id")]))
    return step === undefined ? [] : [{ step, before: "journal" }]
  }

  /** What is durable now that this statement has run. */
  ends(sql: string, params: ReadonlyArray<unknown>): ReadonlyArray<Boundary> {
    if (/^\s*BEGIN/u.test(sql)) this.within = true
    if (/^\s*(?:COMMIT|ROLLBACK\s*$)/u.test(sql)) {
      this.within = false
      const durable = sql.includes("COMMIT") ? this.waiting : []
      this.waiting = []
      return durable
    }
    const found = this.written(sql, params)
    if (!this.within) return found
    this.waiting.push(...found)
    return []
  }

  private written(sql: string, params: ReadonlyArray<unknown>): ReadonlyArray<Boundary> {
    if (isReply(sql)) {
      const step = this.steps.get(String(params[columnIn(sql, "request_id")]))
      return step === undefined ? [] : [{ step, before: "next" }]
    }
    if (!/INTO "?cluster_messages/u.test(sql)) return []
    const key = params[columnIn(sql, "message_id")]
    if (typeof key !== "string") return []
    const step = this.stepOf(key)
    this.steps.set(String(params[columnIn(sql, "id")]), step)
    return [{ step, before: "effect" }]
  }

  /** Ids differ from life to life; which execution it is does not. */
  private stepOf(key: string): string {
    const [, kind = "", execution = "", rest = ""] = /^(\w+\/[^/]+)\/([^/]+)(.*)$/u.exec(key) ?? []
    const known = this.executions.get(kind) ?? []
    this.executions.set(kind, known)
    if (!known.includes(execution)) known.push(execution)
    return `${kind}/${known.indexOf(execution) + 1}${rest}`
  }
}

const isReply = (sql: string): boolean => /INSERT INTO "?cluster_replies/u.test(sql)

/** Where a column of an INSERT has its parameter. */
const columnIn = (sql: string, column: string): number => {
  const [, columns = ""] = /\(([^)]*)\)\s*VALUES/u.exec(sql) ?? []
  return columns.split(",").findIndex((name) => name.replaceAll(/["\s]/gu, "") === column)
}
