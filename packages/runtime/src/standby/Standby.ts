/**
 * One control process at a time holds a Postgres database; others on the same home stand by, forward
 * what they are asked, and take over when the holder stops, dies or falls silent.
 */
import { randomUUID } from "node:crypto"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import { Effect, Fiber, Layer, type Redacted, Schedule, Schema } from "effect"
import type { ServeError } from "effect/http/HttpServerError"
import * as Reactivity from "effect/reactivity/Reactivity"
import type { SqlClient } from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { nameOf } from "../store/DatabaseUrl.ts"
import { type Forwarding, FrontDoor } from "./FrontDoor.ts"
import * as Holder from "./Holder.ts"
import * as Lock from "./Lock.ts"
import { Succession } from "./Succession.ts"

export interface StandbyOptions {
  readonly url: Redacted.Redacted
  readonly home: string
  readonly port: number
  readonly appsPort: number
  /** Milliseconds of silence after which a holder is taken for dead. */
  readonly takeover: number
}

/** Another process holds this database, and this one cannot stand by for it. */
export class DatabaseHeld extends Schema.TaggedError<DatabaseHeld>()("DatabaseHeld", {
  database: Schema.String,
  /** What the holder calls itself, e.g. `deploy-mcp 4711 on host`, when it is still there. */
  holder: Schema.NullOr(Schema.String),
  /** Why this process cannot stand by, and what would make it able to. */
  why: Schema.String
}) {
  override get message() {
    return `the ${this.database} is held by ${this.holder ?? "another control process"}. ${this.why}`
  }
}

/** Ready when this process holds the database; until then it stands by. */
export const layer = (
  options: StandbyOptions
): Layer.Layer<Succession, DatabaseHeld | SqlError | ServeError, FrontDoor> =>
  Layer.effect(
    Succession,
    Effect.gen(function* () {
      const self = selfOf(options)
      const sql = yield* Lock.connect(options.url)
      const holding = (yield* takeSoon(sql)) ? sql : yield* standBy(options, self, sql)
      yield* Holder.announce(holding, self)
      yield* Effect.forkScoped(keep(options, self, holding))
      const isAwaited = Effect.orElseSucceed(Lock.isAwaited(holding), () => false)
      const run = Effect.runPromiseWith(yield* Effect.context())
      ;(yield* FrontDoor).takeLeave(() => run(isAwaited))
      return { isAwaited }
    })
  ).pipe(Layer.provide(Reactivity.layer))

type Self = Parameters<typeof Holder.announce>[1]

const selfOf = ({ home, port, appsPort }: StandbyOptions): Self => {
  const file = join(home, "id")
  if (!existsSync(file)) writeFileSync(file, `${randomUUID()}\n`, { mode: 0o600 })
  const homeId = readFileSync(file, "utf8").trim()
  return { token: randomUUID(), home, homeId, host: hostname(), port, appsPort }
}

/** The holder may have been killed a moment ago, and Postgres is about to notice. */
const takeSoon = (sql: SqlClient) =>
  Lock.tryTake(sql).pipe(
    Effect.repeat({ until: (taken) => taken, schedule: Schedule.spaced("100 millis"), times: 5 })
  )

/** The connection that has the lock, when the holder has let go of it. */
const standBy = Effect.fnUntraced(function* (options: StandbyOptions, self: Self, sql: SqlClient) {
  const holder = yield* Holder.read(sql)
  const why = whyNot(self, holder)
  if (holder === null || why !== null) {
    const [database, name] = [nameOf(options.url), yield* Lock.holderName(sql)]
    return yield* new DatabaseHeld({ database, holder: name, why: why ?? another })
  }
  const forwarding = yield* (yield* FrontDoor).standBy
  yield* Effect.sync(() => console.log(standingBy(self, holder)))
  const watching = yield* Effect.forkScoped(watch(options, forwarding))
  const holding = yield* Lock.take(sql).pipe(
    Effect.as(sql),
    Effect.catch(() => connectAndTake(options))
  )
  yield* Fiber.interrupt(watching)
  forwarding.to(null)
  return holding
})

const another = "Stop it first, or set DEPLOY_MCP_DATABASE_URL to another database."

const whyNot = (self: Self, holder: Holder.Holder | null): string | null => {
  if (holder === null) return another
  if (holder.homeId !== self.homeId) {
    return `Its repositories and artifacts are in ${holder.home} on ${holder.host}, and only a process on that home can stand by for it. ${another}`
  }
  if (holder.port === self.port) {
    return `It serves port ${self.port}. Set DEPLOY_MCP_PORT to another one to stand by for it.`
  }
  return holder.appsPort === self.appsPort
    ? null
    : `Its services are on port ${holder.appsPort}. Set DEPLOY_MCP_APPS_PORT to the same to stand by for it.`
}

const standingBy = (self: Self, holder: Holder.Holder) =>
  `\n  Standing by: http://127.0.0.1:${self.port} forwards to http://127.0.0.1:${holder.port}, and takes over when that one stops.\n`

/** Knows where the holder is, and ends the hold of one that has fallen silent. */
const watch = (options: StandbyOptions, forwarding: Forwarding) =>
  Effect.gen(function* () {
    const sql = yield* Lock.connect(options.url)
    const look = Effect.gen(function* () {
      const holder = yield* Holder.read(sql)
      if (holder === null) return
      if (holder.silence < options.takeover) return forwarding.to(holder.port)
      yield* Effect.logWarning(
        `the control process on port ${holder.port} has been silent for ${holder.silence} ms; taking over`
      )
      yield* Lock.breakFrom(sql, holder.backend)
    })
    return yield* Effect.repeat(look, Schedule.spaced(pulse(options)))
  }).pipe(Effect.scoped, Effect.retry(Schedule.spaced("1 second")))

const connectAndTake = (options: StandbyOptions) =>
  Effect.gen(function* () {
    const sql = yield* Lock.connect(options.url)
    yield* Lock.take(sql)
    return sql
  }).pipe(Effect.retry(Schedule.spaced("1 second")))

/** Milliseconds between two signs of life. */
const pulse = ({ takeover }: StandbyOptions) => takeover / 5

/**
 * Says that this process is alive. A connection that breaks takes the lock with it, and may have cut off
 * what was being written: once the lock is taken again this process starts anew, as after a crash. If
 * another one has it, the platform is that one's.
 */
const keep = (options: StandbyOptions, self: Self, first: SqlClient) =>
  untilBroken(options, self, first).pipe(
    Effect.andThen(
      Effect.gen(function* () {
        const sql = yield* Lock.connect(options.url)
        if (yield* takeSoon(sql)) return yield* startAnew
        // It may be our own last connection that the database has not given up yet.
        const isOurs = yield* Holder.stillHolds(sql, self.token)
        return isOurs ? undefined : yield* lost
      }).pipe(
        Effect.scoped,
        Effect.catchIf(isSqlError, () => Effect.void),
        Effect.repeat(Schedule.spaced("500 millis"))
      )
    )
  )

const untilBroken = (options: StandbyOptions, self: Self, sql: SqlClient) =>
  Holder.stillHolds(sql, self.token).pipe(
    Effect.timeout(options.takeover),
    Effect.flatMap((holds) => (holds ? Effect.void : lost)),
    Effect.repeat(Schedule.spaced(pulse(options))),
    Effect.ignore
  )

/** At once and without any farewell: the edge and all that is below it belong to the other now. */
const lost = Effect.sync(() => {
  console.error("deploy-mcp: another control process has taken over; stopping.")
  process.exit(1)
})

/**
 * The same process with nothing in its memory; what it had begun is in the journal. Where a system can't do
 * that, whoever runs it starts it again.
 */
const startAnew = Effect.sync(() => {
  console.error("deploy-mcp: the database was away; starting anew with what it has.")
  const [program = process.execPath, ...args] = process.argv
  process.execve?.(process.execPath, [program, ...process.execArgv, ...args], process.env)
  process.exit(1)
})
