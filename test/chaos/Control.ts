/**
 * One life of the control process on a database and a world that outlive it. Killed, not one
 * instruction of it runs any more and its connection to the database is gone, as after kill -9.
 */
import { join } from "node:path"
import { Build } from "@deploy-mcp/domain/Build"
import type { Chance } from "@deploy-mcp/domain/chaos/Chance"
import * as Faults from "@deploy-mcp/domain/chaos/Faults"
import { Deploy } from "@deploy-mcp/domain/Deploy"
import { Git } from "@deploy-mcp/domain/Git"
import { Ids } from "@deploy-mcp/domain/model/Ids"
import { aloneRunner, core } from "@deploy-mcp/runtime/compositions/core"
import * as Instances from "@deploy-mcp/runtime/Instances"
import { Platform } from "@deploy-mcp/runtime/Platform"
import * as Retention from "@deploy-mcp/runtime/retention/Retention"
import { forPlatform } from "@deploy-mcp/runtime/store/Owned"
import * as Sqlite from "@deploy-mcp/runtime/store/Sqlite"
import {
  Cause,
  Clock,
  Context,
  Effect,
  Exit,
  type Fiber,
  Layer,
  Logger,
  References,
  Scope
} from "effect"
import type { Connection } from "effect/sql/SqlConnection"
import type { Boundary, JournalWatch } from "./JournalWatch.ts"
import type { Link } from "./Link.ts"
import { clockOf, type SimulatedTime, Turns } from "./Time.ts"
import type { Worlds } from "./Worlds.ts"

/** Milliseconds that a deleted service can be brought back here: long enough for a timer that is in the journal. */
export const trashRetention = 65_000

/** How time goes by here, in milliseconds. */
export interface Pace {
  /** How late a timer of a workflow may be. */
  readonly reread: number
  readonly keptHistory: number
  readonly pruneEvery: number
}

/** As in production, but a second of simulated time costs no query, and all is soon old. */
export const soonOld: Pace = { reread: 5_000, keptHistory: 30_000, pruneEvery: 20_000 }

export interface ControlOptions {
  readonly home: string
  readonly time: SimulatedTime
  readonly worlds: Worlds
  /** A builder of this life alone. */
  readonly build: Build["Service"]
  readonly link: Link
  readonly ids: Chance
  readonly pace: Pace
  /** Null: turns are taken as usual. */
  readonly turns: Chance | null
  readonly verdict: Faults.Faults["Service"]["verdict"]
  readonly journal: JournalWatch
  /** Told of each boundary in the journal; true: it ends there. */
  readonly passes: (boundary: Boundary) => boolean
  /** Told before rows of deployments go. */
  readonly forgets: () => void
  readonly died: (where: string) => void
  readonly logged: (line: string) => void
}

export type Services = Layer.Success<ReturnType<typeof layer>>

export class Control {
  readonly turns: Turns
  /** What commands run with, once it has started. */
  context: Context.Context<Services> | null = null
  private readonly scope = Scope.makeUnsafe()
  private closeDatabase = () => {}
  private readonly references: Context.Context<never>

  private readonly options: ControlOptions

  constructor(options: ControlOptions) {
    this.options = options
    this.turns = new Turns(options.turns)
    const { logged, time } = options
    this.references = Context.empty().pipe(
      Context.add(Clock.Clock, clockOf(time, this.turns)),
      Context.add(References.MinimumLogLevel, "Debug"),
      Context.add(
        Logger.CurrentLoggers,
        new Set([Logger.map(Logger.formatLogFmt, (line) => logged(line))])
      )
    )
    this.run(
      Layer.build(layer(options, this)).pipe(
        Effect.provideService(Scope.Scope, this.scope),
        Effect.tap((context) =>
          Effect.sync(() => {
            this.context = context
          })
        ),
        Effect.catchCause((cause) => {
          // A start that fails ends the process; the next try is another process.
          logged(`control does not start: ${Cause.pretty(cause)}`)
          return this.crash("its start")
        })
      ),
      Context.empty()
    )
  }

  /** Runs in this process; it has no answer when the process ends before. */
  run<A, E, R>(effect: Effect.Effect<A, E, R>, context: Context.Context<R>): Fiber.Fiber<A, E> {
    return Effect.runForkWith(Context.merge(this.references, context))(effect, {
      scheduler: this.turns
    })
  }

  get isAlive(): boolean {
    return !this.turns.dead
  }

  /** kill -9. */
  kill(where: string): void {
    if (this.turns.dead) return
    this.turns.end()
    this.closeDatabase()
    this.options.died(where)
  }

  /** SIGTERM: what is open is closed in order; ends it for good in any case. */
  stop(): Fiber.Fiber<void> {
    return this.run(Scope.close(this.scope, Exit.void), Context.empty())
  }

  /** Before and after each change of the database the process may end. */
  readonly between: Sqlite.Between = (connection, { close, define }) => {
    this.closeDatabase = close
    for (const [name, { since }] of Object.entries(clock)) {
      define(name, () => sqlTime(this.options.time.now + since))
    }
    const gate =
      <Args extends ReadonlyArray<never>, A, E>(
        run: (sql: string, ...rest: Args) => Effect.Effect<A, E>
      ) =>
      (text: string, ...rest: Args): Effect.Effect<A, E> =>
        Effect.suspend(() => {
          if (this.turns.dead) return Effect.never
          const { forgets, journal, passes, verdict } = this.options
          if (text.includes("DELETE FROM deployments ")) forgets()
          const sql = atTime(text)
          const params: ReadonlyArray<unknown> = rest[0] ?? []
          const dies = this.crash("a boundary of the journal")
          if (journal.begins(sql, params).some(passes)) return dies
          const ran = Effect.tap(run(sql, ...rest), () =>
            journal.ends(sql, params).some(passes) ? dies : Effect.void
          )
          if (sql !== "COMMIT") return ran
          return Faults.under({ verdict, crash: this.crash("commit") }, "database.commit", ran, {
            error: () => undefined as never
          })
        })
    return {
      ...connection,
      execute: gate(connection.execute),
      executeUnprepared: gate(connection.executeUnprepared),
      executeRaw: gate(connection.executeRaw),
      executeValues: gate(connection.executeValues),
      executeValuesUnprepared: gate(connection.executeValuesUnprepared)
    } as Connection
  }

  crash(where: string): Effect.Effect<never> {
    return Effect.suspend(() => {
      this.kill(where)
      return Effect.never
    })
  }
}

/** The engine asks the database what time it is: what it says, and what is said here instead. */
const clock = {
  simulated_now: { text: "CURRENT_TIMESTAMP", since: 0 },
  simulated_ten_minutes_ago: { text: "DATETIME('now', '-10 minute')", since: -600_000 }
} as const

/** The same text whatever the time, so that it is prepared once. */
const atTime = (sql: string): string =>
  Object.entries(clock).reduce((said, [name, { text }]) => said.replaceAll(text, `${name}()`), sql)

const sqlTime = (millis: number): string =>
  new Date(millis).toISOString().slice(0, 19).replace("T", " ")

const layer = (
  { build, home, ids, link, pace, verdict, worlds }: ControlOptions,
  control: Pick<Control, "between" | "crash">
) => {
  let call = ""
  const faults: Faults.Faults["Service"] = {
    verdict: (name) => {
      call = name
      return verdict(name)
    },
    crash: Effect.suspend(() => control.crash(call))
  }
  const platform = Layer.succeed(Platform, {
    home,
    port: 8081,
    appsPort: 8080,
    appsDomain: "localhost",
    gitHost: "internal",
    allowedHosts: [],
    startTimeout: 60_000,
    minFreeDisk: 0,
    artifactQuota: 0,
    repositoryQuota: 0,
    keptReleases: 5,
    openPerKey: 0,
    openPerOwner: 0,
    trashRetention,
    keptHistory: pace.keptHistory
  })
  const faulty = Layer.mergeAll(
    Layer.succeed(Git, Faults.git(faults, worlds.git)),
    Layer.succeed(Build, Faults.build(faults, build)),
    Layer.succeed(Deploy, link.around(Faults.deploy(faults, worlds.deploy)))
  )
  const world = Layer.mergeAll(
    platform,
    Instances.singles.pipe(
      Layer.provideMerge(faulty),
      Layer.provideMerge(Layer.succeedContext(worlds.context))
    ),
    Sqlite.layer(join(home, "deploy-mcp.db"), control.between)
  )
  const { pruneEvery: every, reread } = pace
  return forPlatform(Retention.layer({ first: every, every, batch: 5, pause: 20 })).pipe(
    Layer.provideMerge(core(world, undefined, aloneRunner(reread), idsOf(ids)))
  )
}

const base36 = "0123456789abcdefghijklmnopqrstuvwxyz"

const idsOf = (chance: Chance) => {
  const text = (length: number) =>
    Effect.sync(() => Array.from({ length }, () => base36[chance.below(36)]).join(""))
  return Layer.succeed(Ids, {
    next: (prefix) => Effect.map(text(20), (value) => `${prefix}_${value}`),
    secret: text
  })
}
