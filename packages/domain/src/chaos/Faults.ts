/**
 * Stands between the platform and a provider. Each call is answered by a verdict: well, badly before or
 * after its effect, late, twice, in part, or with the end of whoever called.
 */
import { Context, Effect } from "effect"
import { Build, BuildError } from "../Build.ts"
import { Deploy, DeployError } from "../Deploy.ts"
import { Unavailable } from "../Fault.ts"
import { Git, GitError } from "../Git.ts"

export type Verdict =
  | { readonly kind: "ok" | "partial" | "twice" }
  /** `after`: the effect has happened, and the caller is told that it failed. */
  | { readonly kind: "error"; readonly when: "before" | "after" }
  /** `after`: the effect has happened, and the caller has ended before it was told. */
  | { readonly kind: "crash"; readonly when: "before" | "after" }
  /** Answers late; a `hang` answers with an error then. */
  | { readonly kind: "slow" | "hang"; readonly millis: number }

export const verdictKinds = ["ok", "partial", "twice", "error", "crash", "slow", "hang"] as const

export class Faults extends Context.Service<
  Faults,
  {
    /** What becomes of this call, e.g. of `git.head`. Asked once for each call. */
    readonly verdict: (call: string) => Verdict
    /** Ends the caller here and now. */
    readonly crash: Effect.Effect<never>
  }
>()("@deploy-mcp/domain/chaos/Faults") {}

type Shape = Faults["Service"]

/** What a call can fail with, and what is left when only part of it happens. */
interface Weakness<E, R> {
  readonly error: () => E
  readonly partial?: Effect.Effect<unknown, E, R>
}

/** `effect` under the verdict on `call`. */
export const under = <A, E, R>(
  { crash, verdict }: Shape,
  call: string,
  effect: Effect.Effect<A, E, R>,
  { error, partial = Effect.void }: Weakness<E, R>
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const fails = Effect.suspend(() => Effect.fail(error()))
    const given = verdict(call)
    switch (given.kind) {
      case "ok":
        return effect
      case "twice":
        return Effect.andThen(effect, effect)
      case "partial":
        return Effect.andThen(partial, fails)
      case "error":
        return given.when === "before" ? fails : Effect.andThen(effect, fails)
      case "crash":
        return given.when === "before" ? crash : Effect.andThen(effect, crash)
      case "slow":
        return Effect.andThen(Effect.sleep(given.millis), effect)
      case "hang":
        return Effect.andThen(Effect.sleep(given.millis), fails)
    }
  })

const away = (call: string) => new Unavailable({ detail: `planted: ${call} is away` })

export const git = (faults: Shape, real: Git["Service"]): Git["Service"] => {
  const around = <A>(name: string, effect: Effect.Effect<A, GitError>) =>
    under(faults, `git.${name}`, effect, { error: () => new GitError({ reason: away(name) }) })
  return Git.of({
    ...real,
    ensureRepository: (repository) => around("ensureRepository", real.ensureRepository(repository)),
    removeRepository: (repository) => around("removeRepository", real.removeRepository(repository)),
    bytes: (repository) => around("bytes", real.bytes(repository)),
    head: (repository, branch) => around("head", real.head(repository, branch)),
    branches: (repository) => around("branches", real.branches(repository)),
    checkout: (repository, commit, directory) =>
      around("checkout", real.checkout(repository, commit, directory)),
    commit: (...args) => around("commit", real.commit(...args))
  })
}

export const build = (faults: Shape, real: Build["Service"]): Build["Service"] => {
  const around = <A>(name: string, effect: Effect.Effect<A, BuildError>) =>
    under(faults, `build.${name}`, effect, { error: () => new BuildError({ reason: away(name) }) })
  return Build.of({
    ...real,
    plan: (...args) => around("plan", real.plan(...args)),
    find: (key) => around("find", real.find(key)),
    artifact: (request) => around("artifact", real.artifact(request)),
    remove: (key) => around("remove", real.remove(key))
  })
}

export const deploy = (faults: Shape, real: Deploy["Service"]): Deploy["Service"] => {
  const around = (
    name: string,
    effect: Effect.Effect<void, DeployError>,
    partial: Effect.Effect<void, DeployError> = Effect.void
  ) =>
    under(faults, `deploy.${name}`, effect, {
      error: () => new DeployError({ reason: away(name) }),
      partial
    })
  return Deploy.of({
    ...real,
    // The half of a snapshot that a node has read: its stages, and nothing of what is to go.
    snapshot: (stages) =>
      around(
        "snapshot",
        real.snapshot(stages),
        Effect.forEach(stages.slice(0, Math.ceil(stages.length / 2)), real.ensure, {
          discard: true
        })
      ),
    ensure: (spec) => around("ensure", real.ensure(spec)),
    remove: (stage, generation) => around("remove", real.remove(stage, generation))
  })
}
