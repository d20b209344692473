/**
 * The laws that every provider keeps, whatever it provides. A kit says what its service changes and
 * how to look at the world; these say what must then be true.
 */
import { assert, type Vitest } from "@effect/vitest"
import { Cause, Clock, Effect, Exit, Fiber, type Scope } from "effect"
import { type Chance, chanceOf } from "../chaos/Chance.ts"
import type { Fault } from "../Fault.ts"

/** Runs something with an instance of the provider that is made for it and ends with it. */
export type Instance<S, W> = <A, E, R extends S | W>(
  use: Effect.Effect<A, E, R>
) => Effect.Effect<A, unknown, Exclude<R, S> | W>

export interface Change<S, W, A> {
  readonly instance: Instance<S, W>
  readonly change: Effect.Effect<unknown, unknown, S | W>
  /** What the world looks like now, past the provider. */
  readonly look: Effect.Effect<A, unknown, S | W>
}

/** Again, by a new instance, and after a reply that nobody heard: the same world. */
export const converges = <S, W, A>(
  { instance, change, look }: Change<S, W, A>,
  expected: unknown
) =>
  Effect.gen(function* () {
    assert.deepEqual(yield* instance(Effect.andThen(change, look)), expected, "done once")
    assert.deepEqual(yield* instance(look), expected, "seen by a new instance")
    const twice = change.pipe(Effect.andThen(change), Effect.andThen(look))
    assert.deepEqual(yield* instance(twice), expected, "done again")
  })

/** `deaf` does the change and never hears the answer; the operation is then run again. */
export const survivesLostReply = <S, W, A>(
  { instance, change, look }: Change<S, W, A>,
  deaf: Instance<S, W>,
  expected: unknown
) =>
  Effect.gen(function* () {
    const exit = yield* Effect.exit(deaf(change))
    assert.isTrue(Exit.isFailure(exit), "an answer that is lost is not a success")
    assert.isTrue(reasonOf(exit)?.isRetryable, "a lost answer is worth another try")
    assert.deepEqual(yield* instance(look), expected, "the effect happened")
    assert.deepEqual(yield* instance(Effect.andThen(change, look)), expected, "run again")
  })

/** Wherever a change is cut, the world is as before or as after, and another try completes it. */
export const leavesNothingHalfMade = <S, W, A>(
  { instance, change, look }: Change<S, W, A>,
  undo: Effect.Effect<unknown, unknown, S | W>
) =>
  Effect.gen(function* () {
    const before = yield* instance(Effect.andThen(undo, look))
    const [milliseconds, after] = yield* instance(
      Effect.all([Effect.map(timed(change), Math.ceil), look])
    )
    assert.notDeepEqual(before, after, "the change can be seen")
    for (const part of [0, 0.1, 0.3, 0.6, 0.9]) {
      yield* instance(undo)
      yield* instance(
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(change)
          // Not a wait: the moment at which it is cut.
          yield* part === 0 ? Effect.yieldNow : Effect.sleep(`${milliseconds * part} millis`)
          yield* Fiber.interrupt(fiber)
        })
      )
      const found = yield* instance(look)
      const whole = [before, after].some((state) => JSON.stringify(state) === JSON.stringify(found))
      assert.isTrue(whole, `cut at ${part}, this is half made: ${JSON.stringify(found)}`)
      assert.deepEqual(yield* instance(Effect.andThen(change, look)), after, "completed")
    }
  })

export interface Step<S, W> {
  readonly name: string
  readonly change: Effect.Effect<unknown, unknown, S | W>
  /** Nothing befalls it: it is not the provider's, or need not converge. */
  readonly isCalm?: boolean
}

export interface Storm<S, W, A> {
  readonly instance: Instance<S, W>
  /** What chance picks for a place of its own. Equal chance, equal steps; each can be done after the ones before it. */
  readonly steps: (place: string, chance: Chance) => ReadonlyArray<Step<S, W>>
  readonly look: (place: string) => Effect.Effect<A, unknown, S | W>
}

/**
 * Steps of which some are cut off, done twice, at the same time, or again by a new instance, until they are told
 * to be done, end as the same steps do undisturbed. One that meets itself may be told to try again. `seed` picks
 * the steps and what befalls them; a failure of the test names both.
 */
export const endsAlike = <S, W, A>({ instance, look, steps }: Storm<S, W, A>, seed: number) =>
  Effect.gen(function* () {
    const [calm, stormy] = [`calm${seed}`, `storm${seed}`]
    const stepsAt = (place: string) => steps(place, chanceOf(`steps ${seed}`))
    for (const { change } of stepsAt(calm)) yield* instance(change)
    const weather = chanceOf(`weather ${seed}`)
    const befell: Array<string> = []
    for (const { change, isCalm = false, name } of stepsAt(stormy)) {
      for (let tries = 0; !isCalm && tries < 3 && weather.happens(0.6); tries += 1) {
        const how = weather.pick(["cut", "twice", "twice at once", "unheard"] as const)
        const millis = weather.below(12)
        befell.push(how === "cut" ? `${name} cut after ${millis} ms` : `${name} ${how}`)
        const attempt = {
          cut: Effect.timeoutOption(change, millis),
          twice: Effect.andThen(change, change),
          "twice at once": Effect.all([change, change], { concurrency: 2 }),
          unheard: change
        }[how]
        const exit = yield* Effect.exit(instance(attempt))
        assert.isTrue(Exit.isSuccess(exit) || reasonOf(exit)?.isRetryable, befell.join(", "))
      }
      yield* instance(change)
      befell.push(`${name} done`)
    }
    const found = JSON.stringify(yield* instance(look(stormy))).replaceAll(stormy, calm)
    const expected = JSON.stringify(yield* instance(look(calm)))
    assert.deepEqual(JSON.parse(found), JSON.parse(expected), `seed ${seed}: ${befell.join(", ")}`)
  })

/** A test of `endsAlike` for each of some seeds. */
export const throughStorms = <S, W, A>(
  it: Vitest.MethodsNonLive<W>,
  storm: Storm<S, W | Scope.Scope, A>
) =>
  it.effect.each([1, 2, 3])("ends as it would undisturbed, whatever befalls it: seed %s", (seed) =>
    endsAlike(storm, seed)
  )

/** Instead of skipping what a backend cannot do. */
export const isUnsupported = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.exit(effect), (exit) =>
    assert.strictEqual(reasonOf(exit)?._tag, "Unsupported", "a typed Unsupported")
  )

/** A failure that the caller can mend, and that says how. */
export const isRejected = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.exit(effect), (exit) => {
    const reason = reasonOf(exit)
    assert.strictEqual(reason?._tag, "Rejected", "a typed Rejected")
    if (reason?._tag === "Rejected") assert.isNotEmpty(reason.failure.next, "a next step")
  })

/** Fails with a reason, and nothing that anybody could print of it holds a secret. */
export const failsWithoutSecrets = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  secrets: ReadonlyArray<string>
) =>
  Effect.map(Effect.exit(effect), (exit) => {
    assert.isDefined(reasonOf(exit), "a typed failure")
    if (!Exit.isFailure(exit)) return
    const printed = [Cause.pretty(exit.cause), String(exit.cause), JSON.stringify(exit)].join("\n")
    for (const secret of secrets) assert.notInclude(printed, secret, "no secret in an error")
  })

const reasonOf = (exit: Exit.Exit<unknown, unknown>): Fault | undefined => {
  if (!Exit.isFailure(exit)) return undefined
  const error = exit.cause.reasons.find(Cause.isFailReason)?.error
  return hasReason(error) ? error.reason : undefined
}

const hasReason = (error: unknown): error is { readonly reason: Fault } =>
  typeof error === "object" && error !== null && "reason" in error

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    yield* effect
    return (yield* Clock.currentTimeMillis) - start
  })
