/**
 * What "implements Database" means. A provider's test needs one call:
 *
 *     DatabaseConformance.suite("mine", layer, { world, kind: "postgres", query, observe })
 */
import { assert, layer as withLayer } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Redacted } from "effect"
import { Database } from "../Database.ts"
import { OwnerId, ResourceId } from "../model/Ids.ts"
import { type Resource, type ResourceKind, resourceKinds } from "../model/Resource.ts"
import * as Laws from "./Laws.ts"

export type Row = Readonly<Record<string, unknown>>

export interface DatabaseWorld<W> {
  /** What outlives an instance of the provider: a server, a folder. Made once for the suite. */
  readonly world: Layer.Layer<W, unknown>
  /** The kind that the provider makes, of those that speak SQL; it says `Unsupported` to the others. */
  readonly kind: ResourceKind
  /** Connects as a service would, with nothing but the URL, and runs one statement. */
  readonly query: (
    url: Redacted.Redacted,
    statement: string
  ) => Effect.Effect<ReadonlyArray<Row>, unknown, W>
  /** What the backend holds of a resource, past the provider: a word for each thing, none for none. */
  readonly observe: (resource: Resource) => Effect.Effect<ReadonlyArray<string>, unknown, W>
  readonly unsupported?: ReadonlyArray<"rotate">
  /** The provider on a wire that carries every change and loses its answer. */
  readonly deaf?: Layer.Layer<Database, unknown, W>
  /** The provider with credentials or an address that do not work, and what it must never tell. */
  readonly broken?: {
    readonly layer: Layer.Layer<Database, unknown, W>
    readonly secrets: string[]
  }
}

export const suite = <W>(
  name: string,
  provider: Layer.Layer<Database, unknown, W>,
  { world, kind, query, observe, unsupported = [], deaf, broken }: DatabaseWorld<W>
): void => {
  const through =
    (layer: Layer.Layer<Database, unknown, W>): Laws.Instance<Database, W> =>
    (use) =>
      Effect.provide(use, Layer.fresh(layer), { local: true })
  const instance = through(provider)
  const resourceOf = (label: string, of: ResourceKind = kind): Resource => ({
    id: ResourceId.make(`res_${label.padEnd(20, "0")}`),
    owner: OwnerId.make(`own_${"conformance".padEnd(20, "0")}`),
    kind: of
  })
  const ensure = (resource: Resource) => Database.use((database) => database.ensure(resource))
  const url = (resource: Resource) => Database.use((database) => database.url(resource))
  const rotate = (resource: Resource) => Database.use((database) => database.rotate(resource))
  const drop = (resource: Resource) => Database.use((database) => database.drop(resource))
  const ask = (resource: Resource, statement: string) =>
    Effect.flatMap(url(resource), (given) => query(given, statement))
  const refuses = (given: Redacted.Redacted, why: string) =>
    Effect.map(Effect.exit(query(given, "SELECT 1 AS one")), (exit) =>
      assert.isTrue(Exit.isFailure(exit), why)
    )
  const rotates = !unsupported.includes("rotate")

  const write = (resource: Resource, text: string) =>
    Effect.andThen(
      ask(resource, "CREATE TABLE IF NOT EXISTS notes (text VARCHAR(40) PRIMARY KEY)"),
      ask(resource, `INSERT INTO notes (text) VALUES ('${text}')`)
    )
  const notes = (resource: Resource) =>
    Effect.map(ask(resource, "SELECT text FROM notes ORDER BY text"), (rows) =>
      rows.map((row) => row.text)
    )
  /** All that there is of a resource: what the backend holds, and whether a service can use it. */
  const state = (resource: Resource) =>
    Effect.all({
      held: Effect.map(observe(resource), (words) => words.toSorted()),
      answers: ask(resource, "SELECT 1 AS one").pipe(
        Effect.map((rows) => rows.map((row) => Number(row.one))),
        Effect.orElseSucceed(() => null)
      )
    })
  const absent = { held: [], answers: null }

  withLayer(world, { excludeTestServices: true })(`${name} is a Database`, (it) => {
    it.effect("makes a database that a service can use, and removes it", () => {
      const resource = resourceOf("face")
      const look = state(resource)
      return Effect.gen(function* () {
        assert.deepEqual(yield* instance(look), absent)
        const whole = yield* instance(Effect.andThen(ensure(resource), look))
        assert.isNotEmpty(whole.held)
        assert.deepEqual(whole.answers, [1])
        yield* Laws.converges({ instance, change: ensure(resource), look }, whole)
        const before = yield* instance(url(resource))
        yield* Laws.converges({ instance, change: drop(resource), look }, absent)
        yield* refuses(before, "the URL of a database that was removed opens nothing")
      })
    })

    it.effect("keeps the data and the URL when it is ensured again, by a new instance too", () => {
      const resource = resourceOf("keeps")
      return Effect.gen(function* () {
        const ref = yield* instance(Effect.tap(ensure(resource), () => write(resource, "first")))
        const before = yield* instance(url(resource))
        const again = yield* instance(Effect.tap(ensure(resource), () => write(resource, "second")))
        assert.deepEqual(again, ref)
        assert.strictEqual(Redacted.value(yield* instance(url(resource))), Redacted.value(before))
        assert.deepEqual(yield* instance(notes(resource)), ["first", "second"])
      })
    })

    it.effect("tells where it is without how it is opened", () => {
      const resource = resourceOf("ref")
      return instance(
        Effect.gen(function* () {
          const ref = yield* ensure(resource)
          assert.strictEqual(ref.resource, resource.id)
          assert.strictEqual(ref.kind, kind)
          const given = yield* url(resource)
          const { password } = new URL(Redacted.value(given))
          assert.isAtLeast(password.length, 20, "a password that cannot be guessed")
          assert.notInclude(JSON.stringify(ref), password)
          assert.notInclude(`${given} ${JSON.stringify(given)}`, password)
        })
      )
    })

    it.effect("begins empty after a removal, with another password", () => {
      const resource = resourceOf("again")
      return instance(
        Effect.gen(function* () {
          yield* Effect.andThen(ensure(resource), write(resource, "old"))
          const before = yield* url(resource)
          yield* Effect.andThen(drop(resource), ensure(resource))
          yield* write(resource, "new")
          assert.deepEqual(yield* notes(resource), ["new"])
          yield* refuses(before, "the password of the database before opens nothing")
        })
      )
    })

    it.effect("opens nothing of another resource, also of the same owner", () => {
      const [mine, other] = [resourceOf("mine"), resourceOf("other")]
      return instance(
        Effect.gen(function* () {
          yield* Effect.all([ensure(mine), ensure(other)])
          yield* Effect.all([write(mine, "mine"), write(other, "secret")])
          const [own, foreign] = [yield* url(mine), yield* url(other)]
          assert.deepEqual(yield* notes(mine), ["mine"])
          const crossed = new URL(Redacted.value(foreign))
          const { username, password } = new URL(Redacted.value(own))
          crossed.password = password
          yield* refuses(Redacted.make(crossed.href), "my password for another's login")
          crossed.username = username
          yield* refuses(Redacted.make(crossed.href), "my login for another's database")
        })
      )
    })

    it.effect("makes one database when many ask at once, and others beside it", () => {
      const [one, two, three] = [resourceOf("one"), resourceOf("two"), resourceOf("three")]
      const all = [one, two, one, three, one, two]
      return Effect.gen(function* () {
        const apart = all.map((resource) => instance(ensure(resource)))
        yield* Effect.all(apart, { concurrency: "unbounded" })
        yield* instance(Effect.forEach([one, two, three], (resource) => write(resource, "here")))
        const whole = yield* instance(state(one))
        assert.deepEqual(yield* instance(state(two)), whole)
        assert.deepEqual(yield* instance(state(three)), whole)
      })
    })

    it.effect("removes what was never there, and says so of its URL", () => {
      const resource = resourceOf("never")
      return instance(
        Effect.gen(function* () {
          yield* Effect.andThen(drop(resource), drop(resource))
          yield* Laws.isRejected(url(resource))
          if (rotates) yield* Laws.isRejected(rotate(resource))
          assert.deepEqual(yield* state(resource), absent)
        })
      )
    })

    if (rotates) {
      it.effect("changes the password: the old one opens nothing, the data stays", () => {
        const resource = resourceOf("rotates")
        return Effect.gen(function* () {
          yield* instance(Effect.andThen(ensure(resource), write(resource, "kept")))
          const before = yield* instance(url(resource))
          yield* instance(rotate(resource))
          yield* refuses(before, "the old password opens nothing")
          assert.deepEqual(yield* instance(notes(resource)), ["kept"])
          yield* instance(ensure(resource))
          assert.deepEqual(yield* instance(notes(resource)), ["kept"], "also after an ensure")
        })
      })

      it.effect("has a password that works wherever a rotation is cut", () => {
        const resource = resourceOf("cutrotation")
        return Effect.gen(function* () {
          yield* instance(Effect.andThen(ensure(resource), write(resource, "kept")))
          for (const pause of [0, 2, 5, 10, 20]) {
            yield* instance(
              Effect.gen(function* () {
                const fiber = yield* Effect.forkChild(rotate(resource))
                // Not a wait: the moment at which it is cut.
                yield* pause === 0 ? Effect.yieldNow : Effect.sleep(`${pause} millis`)
                yield* Fiber.interrupt(fiber)
              })
            )
            assert.deepEqual(yield* instance(notes(resource)), ["kept"], `cut after ${pause} ms`)
          }
        })
      })
    } else {
      it.effect("says that it cannot change a password", () =>
        instance(Laws.isUnsupported(rotate(resourceOf("rotates"))))
      )
    }

    it.effect("leaves no half of a database when it is interrupted", () => {
      const resource = resourceOf("cut")
      return Laws.leavesNothingHalfMade(
        { instance, change: ensure(resource), look: state(resource) },
        drop(resource)
      )
    })

    Laws.throughStorms(it, {
      instance,
      steps: (place, chance) => {
        const resource = resourceOf(place)
        const made = { name: "ensure", change: ensure(resource) }
        const turned = rotates ? { name: "rotate", change: rotate(resource) } : made
        const noted = (): Laws.Step<Database, W> => ({
          name: "a note",
          change: write(resource, `note ${chance.below(1_000_000)}`),
          isCalm: true
        })
        const other = () =>
          chance.pick([
            [made],
            [turned],
            [turned, noted()],
            [noted()],
            [{ name: "drop", change: drop(resource) }, made, noted()]
          ])
        return [made, noted(), ...Array.from({ length: 8 }, other).flat()]
      },
      look: (place) => Effect.all([state(resourceOf(place)), notes(resourceOf(place))])
    })

    it.effect.each(resourceKinds.filter((other) => other !== kind))(
      "says that it has no databases of the kind %s",
      (other) => {
        const resource = resourceOf(`kind${other}`, other)
        const attempts = [ensure(resource), url(resource), rotate(resource), drop(resource)]
        return Effect.forEach(attempts, (attempt) => instance(Laws.isUnsupported(attempt)))
      }
    )

    if (deaf !== undefined) {
      it.effect("completes a change whose answer was lost", () => {
        const resource = resourceOf("deaf")
        const look = state(resource)
        return Effect.gen(function* () {
          const whole = yield* instance(Effect.andThen(ensure(resource), look))
          yield* instance(drop(resource))
          const making = { instance, change: ensure(resource), look }
          yield* Laws.survivesLostReply(making, through(deaf), whole)
          if (rotates) {
            const rotating = { instance, change: rotate(resource), look }
            yield* Laws.survivesLostReply(rotating, through(deaf), whole)
          }
          const removing = { instance, change: drop(resource), look }
          yield* Laws.survivesLostReply(removing, through(deaf), absent)
        })
      })
    }

    if (broken !== undefined) {
      it.effect("tells no secret when it fails", () => {
        const resource = resourceOf("broken")
        const attempts = [ensure(resource), url(resource), rotate(resource), drop(resource)]
        return Effect.forEach(attempts, (attempt) =>
          Laws.failsWithoutSecrets(through(broken.layer)(attempt), broken.secrets)
        )
      })
    }
  })
}
