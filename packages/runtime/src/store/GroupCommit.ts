/**
 * Writes of the journal that come while another one is on its way wait for it and then go together: many
 * workflows at once share commits, a single one waits for nobody. Nothing is answered before it is durable.
 */
import { Deferred, Effect, Exit, type Scope } from "effect"
import { PersistenceError } from "effect/cluster/ClusterError"
import type * as MessageStorage from "effect/cluster/MessageStorage"
import { SaveResultEncoded } from "effect/cluster/MessageStorage"
import type * as Reply from "effect/cluster/Reply"
import * as ShardId from "effect/cluster/ShardId"
import type { SqlClient } from "effect/sql/SqlClient"

type Storage = MessageStorage.Encoded
type Saving = Parameters<Storage["saveEnvelope"]>[0]
type Saved = MessageStorage.SaveResult.Encoded

/** `sql` without transforms of names. */
export const groupCommit = (
  table: Storage,
  sql: SqlClient
): Effect.Effect<Pick<Storage, "saveEnvelope" | "saveReply">, never, Scope.Scope> =>
  Effect.gen(function* () {
    const writeAll = sql.onDialectOrElse({ pg: () => onPostgres, orElse: () => onSqlite })
    const write = yield* inTurn(writeAll(table, sql))
    return {
      saveEnvelope: (saving) => write({ saving }),
      saveReply: (reply) => Effect.asVoid(write({ reply }))
    }
  })

type Write = { readonly saving: Saving } | { readonly reply: Reply.Encoded }
type WriteAll = (
  writes: ReadonlyArray<Write>
) => Effect.Effect<ReadonlyArray<Saved>, PersistenceError>

const success = SaveResultEncoded.Success()

const writeOne = (table: Storage, write: Write): Effect.Effect<Saved, PersistenceError> =>
  "saving" in write
    ? table.saveEnvelope(write.saving)
    : Effect.as(table.saveReply(write.reply), success)

/** A transaction on its one connection: what it costs is the commit. */
const onSqlite =
  (table: Storage, sql: SqlClient): WriteAll =>
  (writes) =>
    sql
      .withTransaction(Effect.forEach(writes, (write) => writeOne(table, write)))
      .pipe(PersistenceError.refail)

/** One statement, whose text does not depend on how much there is. */
const onPostgres =
  (table: Storage, sql: SqlClient): WriteAll =>
  (writes) =>
    Effect.gen(function* () {
      const requests = writes.flatMap((write) => requestIn(write) ?? [])
      const replies = writes.flatMap((write) => exitIn(write) ?? [])
      const written = yield* sql<{ id: string }>`
        WITH requests AS (
          SELECT * FROM json_to_recordset(${JSON.stringify(requests)}::json) AS r(
            id bigint, message_id text, shard_id text, entity_type text, entity_id text, tag text,
            payload text, headers text, trace_id text, span_id text, sampled boolean, deliver_at bigint)
        ), replies AS (
          SELECT * FROM json_to_recordset(${JSON.stringify(replies)}::json) AS r(
            id bigint, request_id bigint, payload text)
        ), asked AS (
          INSERT INTO cluster_messages (id, message_id, shard_id, entity_type, entity_id, kind, tag,
            payload, headers, trace_id, span_id, sampled, request_id, deliver_at)
          SELECT id, message_id, shard_id, entity_type, entity_id, 0, tag,
            payload, headers, trace_id, span_id, sampled, id, deliver_at FROM requests
          ON CONFLICT (message_id) DO NOTHING
          RETURNING id
        ), answered AS (
          UPDATE cluster_messages m SET processed = TRUE, last_reply_id = replies.id
          FROM replies WHERE m.request_id = replies.request_id
        ), said AS (
          INSERT INTO cluster_replies (id, kind, request_id, payload)
          SELECT id, 0, request_id, payload FROM replies
        )
        SELECT id::text FROM asked UNION ALL SELECT id::text FROM replies`
      const done = new Set(written.map(({ id }) => id))
      // What was there before, and what is of no such simple kind.
      return yield* Effect.forEach(writes, (write) =>
        done.has(idOf(write)) ? Effect.succeed(success) : writeOne(table, write)
      )
    }).pipe(PersistenceError.refail, Effect.withTracerEnabled(false))

const idOf = (write: Write): string => {
  if ("reply" in write) return write.reply.id
  const { envelope } = write.saving
  return envelope._tag === "Request" ? envelope.requestId : envelope.id
}

/** A row of the library's table. Longer keys are kept there as digests, by the library itself. */
const requestIn = (write: Write) => {
  if (!("saving" in write)) return null
  const { deliverAt, envelope, primaryKey } = write.saving
  if (envelope._tag !== "Request" || primaryKey === null || primaryKey.length > 255) return null
  return {
    id: envelope.requestId,
    message_id: primaryKey,
    shard_id: ShardId.toString(envelope.address.shardId),
    entity_type: envelope.address.entityType,
    entity_id: envelope.address.entityId,
    tag: envelope.tag,
    payload: JSON.stringify(envelope.payload),
    headers: JSON.stringify(envelope.headers),
    trace_id: envelope.traceId ?? null,
    span_id: envelope.spanId ?? null,
    sampled: envelope.sampled ?? null,
    deliver_at: deliverAt
  }
}

const exitIn = (write: Write) =>
  "reply" in write && write.reply._tag === "WithExit"
    ? {
        id: write.reply.id,
        request_id: write.reply.requestId,
        payload: JSON.stringify(write.reply.exit)
      }
    : null

/** At most so many go together, so that none waits for long. */
const together = 64

/** One at a time; what has come meanwhile goes together. Who gives up waiting takes nothing back. */
const inTurn = Effect.fnUntraced(function* (writeAll: WriteAll) {
  const scope = yield* Effect.scope
  let waiting: Array<Waiting> = []
  let writing = false

  const turns = Effect.gen(function* () {
    for (;;) {
      // In one breath with the look at what waits: whoever comes after it starts the next turn.
      if (waiting.length === 0) {
        writing = false
        return
      }
      // A statement of SQLite lets nobody else run: now all who are ready to write get to say so.
      yield* Effect.yieldNow
      const now = waiting.slice(0, together)
      waiting = waiting.slice(together)
      const written = yield* Effect.exit(writeAll(now.map(({ write }) => write)))
      if (Exit.isSuccess(written)) {
        for (const [at, { answer }] of now.entries()) {
          yield* Deferred.succeed(answer, written.value[at] ?? success)
        }
      } else if (now.length === 1) {
        for (const { answer } of now) yield* Deferred.failCause(answer, written.cause)
      } else {
        // One that can't be written does not take the others along.
        for (const { answer, write } of now) {
          yield* Deferred.complete(
            answer,
            Effect.map(writeAll([write]), ([saved = success]) => saved)
          )
        }
      }
    }
  })
  return (write: Write): Effect.Effect<Saved, PersistenceError> =>
    Effect.gen(function* () {
      const answer = yield* Deferred.make<Saved, PersistenceError>()
      waiting.push({ write, answer })
      if (!writing) {
        writing = true
        yield* Effect.forkIn(turns, scope, { startImmediately: true })
      }
      return yield* Deferred.await(answer)
    })
})

interface Waiting {
  readonly write: Write
  readonly answer: Deferred.Deferred<Saved, PersistenceError>
}
