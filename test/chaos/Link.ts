/** The connection between control and its node, which may be cut: the node lives on and is greeted again. */
import { Deploy, DeployError, type Observation } from "@deploy-mcp/domain/Deploy"
import { Unavailable } from "@deploy-mcp/domain/Fault"
import { Effect, Stream } from "effect"

export interface Link {
  readonly isUp: () => boolean
  readonly wasCut: () => boolean
  readonly set: (up: boolean) => void
  readonly around: (real: Deploy["Service"]) => Deploy["Service"]
}

export const makeLink = (): Link => {
  let up = true
  let cut = false
  let waiting: Array<() => void> = []

  const until = (wanted: boolean) =>
    Effect.callback<void>((resume) => {
      const look = () => {
        if (up === wanted) resume(Effect.void)
        else waiting.push(look)
      }
      look()
    })
  const lost = new DeployError({ reason: new Unavailable({ detail: "planted: the link is cut" }) })
  const whileUp = <A>(effect: Effect.Effect<A, DeployError>) =>
    Effect.suspend(() => (up ? effect : Effect.fail(lost)))

  return {
    isUp: () => up,
    wasCut: () => cut,
    set: (wanted) => {
      up = wanted
      cut ||= !wanted
      const told = waiting
      waiting = []
      for (const tell of told) tell()
    },
    around: (real) =>
      Deploy.of({
        ...real,
        attach: (epoch) =>
          Stream.unwrap(
            Effect.as(until(true), Stream.interruptWhen(real.attach(epoch), until(false)))
          ).pipe(Stream.concat(Stream.succeed<Observation>({ type: "away" })), Stream.forever),
        snapshot: (stages) => whileUp(real.snapshot(stages)),
        ensure: (spec) => whileUp(real.ensure(spec)),
        remove: (stage, generation) => whileUp(real.remove(stage, generation))
      })
  }
}
