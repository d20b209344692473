/**
 * What has to outlive control and no container can hold: the key that variables are sealed to, the
 * newest epoch, and the generation of each stage. One small file each, replaced as a whole.
 */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { DeployError } from "@deploy-mcp/domain/Deploy"
import { Unavailable } from "@deploy-mcp/domain/Fault"
import { StageId } from "@deploy-mcp/domain/model/Ids"
import { generateNodeKey } from "@deploy-mcp/domain/node/SealedBox"
import { Effect, Schema, Semaphore } from "effect"

const NodeKey = Schema.Struct({ publicKey: Schema.String, privateKey: Schema.String })
export type NodeKey = typeof NodeKey.Type

const Held = Schema.Struct({
  epoch: Schema.Int,
  generations: Schema.Record(StageId, Schema.Int)
})
type Held = typeof Held.Type

const nothing: Held = { epoch: 0, generations: {} }

export interface NodeState {
  readonly key: NodeKey
  /** Fails when a newer control has spoken. */
  readonly attach: (epoch: number) => Effect.Effect<void, DeployError>
  /** Keeps what `next` makes of the generations, then answers what else it says. */
  readonly change: <A>(
    epoch: number,
    next: (generations: Generations) => { readonly generations: Generations; readonly answer: A }
  ) => Effect.Effect<A, DeployError>
}

export type Generations = Readonly<Record<StageId, number>>

export const open = (directory: string): Effect.Effect<NodeState, DeployError> =>
  Effect.gen(function* () {
    yield* attempt(directory, () => mkdir(directory, { recursive: true, mode: 0o700 }))
    const path = join(directory, "node.json")
    const key = yield* loadKey(join(directory, "node-key.json"))
    const turn = yield* Semaphore.make(1)
    // Read each time: another control may have written it.
    const held = Effect.map(read(path, Held), (found) => found ?? nothing)

    const change = <A>(
      epoch: number,
      next: (generations: Generations) => { readonly generations: Generations; readonly answer: A }
    ) =>
      Effect.gen(function* () {
        const before = yield* held
        if (before.epoch > epoch) return yield* failed(older(epoch, before.epoch))
        const { answer, generations } = next(before.generations)
        const after: Held = { epoch, generations }
        if (!same(before, after)) yield* replace(path, after)
        return answer
      }).pipe(turn.withPermit)

    return {
      key,
      attach: (epoch) => change(epoch, (generations) => ({ generations, answer: undefined })),
      change
    }
  })

const loadKey = (path: string) =>
  Effect.gen(function* () {
    const found = yield* read(path, NodeKey)
    if (found !== null) return found
    const key = yield* Effect.promise(generateNodeKey)
    yield* replace(path, key)
    return key
  })

/** Null: there is no such file. A damaged one is not replaced: that would lose what it holds. */
const read = <A>(path: string, schema: Schema.Codec<A, unknown>) =>
  Effect.gen(function* () {
    const text = yield* attempt(path, () =>
      readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return null
        throw error
      })
    )
    if (text === null) return null
    return yield* Schema.decodeUnknownEffect(Schema.fromJsonString(schema))(text).pipe(
      Effect.mapError(() => unavailable(`${path} is damaged; restore or remove it`))
    )
  })

const replace = (path: string, content: object) =>
  attempt(path, async () => {
    await writeFile(`${path}.new`, `${JSON.stringify(content)}\n`, { mode: 0o600 })
    await rename(`${path}.new`, path)
  })

const attempt = <A>(path: string, run: () => Promise<A>) =>
  Effect.tryPromise({ try: run, catch: (cause) => unavailable(`${path}: ${cause}`) })

const same = (a: Held, b: Held) => JSON.stringify(a) === JSON.stringify(b)

const older = (mine: number, held: number) =>
  `epoch ${mine} is older than epoch ${held} held here: a newer control is in charge`

const unavailable = (detail: string) => new DeployError({ reason: new Unavailable({ detail }) })
const failed = (detail: string) => Effect.fail(unavailable(detail))
