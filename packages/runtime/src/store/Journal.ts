/**
 * The journal of workflows for a process that is alone with it: what it has written itself a moment ago
 * it need not read back, claim and commit again. Everything else is the library's own storage.
 *
 * With the library's storage alone a step is an insert, a claim and a reply, three commits; here it is
 * two, which workflows share. The whole table is read at the start, after anything that puts messages
 * back, and every `reread`, which is also when messages that wait for a time are found.
 */
import { Clock, Duration, Effect, Layer, Option } from "effect"
import type * as Envelope from "effect/cluster/Envelope"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as ShardId from "effect/cluster/ShardId"
import type { ShardingConfig } from "effect/cluster/ShardingConfig"
import * as Snowflake from "effect/cluster/Snowflake"
import * as SqlMessageStorage from "effect/cluster/SqlMessageStorage"
import type * as Digest from "effect/crypto/Digest"
import { SqlClient } from "effect/sql/SqlClient"
import { groupCommit } from "./GroupCommit.ts"

export const layer = (
  reread: Duration.Input
): Layer.Layer<MessageStorage.MessageStorage, never, SqlClient | ShardingConfig | Digest.Digest> =>
  Layer.effect(
    MessageStorage.MessageStorage,
    Effect.gen(function* () {
      const sql = (yield* SqlClient).withoutTransforms()
      const table = yield* Effect.orDie(SqlMessageStorage.makeEncoded())
      // What is written of one execution is found without all the others.
      yield* Effect.orDie(sql`CREATE INDEX IF NOT EXISTS cluster_messages_execution
        ON cluster_messages (entity_id)`)
      const millis = Duration.toMillis(Duration.fromInputUnsafe(reread))
      const grouped = yield* groupCommit(table, sql)
      const inTransaction = Effect.map(Effect.serviceOption(sql.transactionService), Option.isSome)
      return yield* MessageStorage.makeEncoded(remembering(table, grouped, inTransaction, millis))
    })
  ).pipe(Layer.provide(Snowflake.layerGenerator))

type Message = Effect.Success<ReturnType<MessageStorage.Encoded["unprocessedMessages"]>>[number]

const remembering = (
  table: MessageStorage.Encoded,
  grouped: Effect.Success<ReturnType<typeof groupCommit>>,
  inTransaction: Effect.Effect<boolean>,
  reread: number
): MessageStorage.Encoded => {
  /** Written by this process and not handed out yet, in the order of writing. */
  const fresh = new Map<string, Message>()
  /** When the table has to be read again. */
  let due = Number.NEGATIVE_INFINITY

  const forget = Effect.sync(() => {
    due = Number.NEGATIVE_INFINITY
  })
  const saveEnvelope: MessageStorage.Encoded["saveEnvelope"] = Effect.fnUntraced(
    function* (message) {
      const { deliverAt, envelope } = message
      const within = yield* inTransaction
      const saved = yield* (within ? table : grouped).saveEnvelope(message)
      // What a transaction wrote may be taken back, and what is not a new request has its own rules.
      if (within || envelope._tag !== "Request" || deliverAt !== null) yield* forget
      else if (saved._tag === "Success") {
        fresh.set(envelope.requestId, { envelope, lastSentReply: Option.none() })
      }
      return saved
    }
  )
  const unprocessedMessages: MessageStorage.Encoded["unprocessedMessages"] = Effect.fnUntraced(
    function* (shards, now, options) {
      const time = yield* Clock.currentTimeMillis
      if (time < due) return take(fresh, shards, options ?? {})
      due = time + reread
      const found = yield* Effect.onError(
        table.unprocessedMessages(shards, now, options),
        () => forget
      )
      for (const { envelope } of found) fresh.delete(envelope.requestId)
      return found
    }
  )
  return {
    ...table,
    saveEnvelope,
    saveReply: (reply) =>
      Effect.flatMap(inTransaction, (within) => (within ? table : grouped).saveReply(reply)),
    unprocessedMessages,
    clearReplies: (...args) => Effect.ensuring(table.clearReplies(...args), forget),
    clearAddress: (address) =>
      Effect.tap(table.clearAddress(address), () => {
        take(fresh, null, { addresses: [address] })
        return forget
      }),
    resetRequests: (ids) => Effect.ensuring(table.resetRequests(ids), forget),
    resetAddresses: (addresses) => Effect.ensuring(table.resetAddresses(addresses), forget),
    resetShards: (shards) => Effect.ensuring(table.resetShards(shards), forget)
  }
}

/** Takes out what belongs to one of the shards and, where some are named, one of the addresses. */
const take = (
  fresh: Map<string, Message>,
  shards: ReadonlyArray<string> | null,
  options: {
    readonly limit?: number | undefined
    readonly addresses?: ReadonlyArray<Address> | undefined
  }
): Array<Message> => {
  const addresses = options.addresses && new Set(options.addresses.map(placeOf))
  const wanted = ({ envelope: { address } }: Message) =>
    (shards === null || shards.includes(ShardId.toString(address.shardId))) &&
    (addresses === undefined || addresses.has(placeOf(address)))
  const taken = [...fresh.values()].filter(wanted).slice(0, options.limit)
  for (const { envelope } of taken) fresh.delete(envelope.requestId)
  return taken
}

type Address = Pick<Envelope.PartialRequestEncoded["address"], "entityType" | "entityId">

const placeOf = ({ entityId, entityType }: Address) => `${entityType}\n${entityId}`
