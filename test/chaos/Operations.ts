/** What callers do to the platform in a simulated life, and how each is carried out. */
import { type Chance, chanceOf } from "@deploy-mcp/domain/chaos/Chance"
import { Deployments } from "@deploy-mcp/domain/commands/Deployments"
import { Services } from "@deploy-mcp/domain/commands/Services"
import { CommandError } from "@deploy-mcp/domain/Failure"
import {
  IdempotencyKey,
  RepositoryRef,
  ServiceName,
  VariableName
} from "@deploy-mcp/domain/model/Names"
import { Effect, Redacted } from "effect"

/** Two are enough for what concerns more than one, and few enough to meet again. */
export const serviceNames = [ServiceName.make("web"), ServiceName.make("shop")] as const
export type Named = (typeof serviceNames)[number]

export type Operation =
  | {
      readonly kind: "create" | "redeploy" | "cancel" | "delete" | "restore"
      readonly service: Named
    }
  | { readonly kind: "rollback"; readonly service: Named; readonly to: number | null }
  | { readonly kind: "update"; readonly service: Named; readonly change: Change }
  | { readonly kind: "push"; readonly service: Named; readonly page: Page; readonly hints: number }
  /** The event of an earlier push comes again. */
  | { readonly kind: "hint"; readonly service: Named }
  | { readonly kind: "kill" | "restart" | "cut" }
  | { readonly kind: "pass"; readonly millis: number }

export type Change =
  | { readonly variable: "TOKEN" | "MODE"; readonly value: string }
  | { readonly removed: "TOKEN" | "MODE" }
  | { readonly memory: number }

/** Equal pages are equal commits, so that a branch can go back to one. */
export type Page = 0 | 1 | 2 | 3 | "build-fails" | "never-healthy" | "never-answers"

export const filesOf = (page: Page): Record<string, string> =>
  typeof page === "number" ? { page: String(page) } : { [page]: "" }

/** What the callers of a whole life do. */
export const operationsOf = (seed: string, calm: boolean): ReadonlyArray<Operation> => {
  const chance = chanceOf(`${seed}/operations`)
  const first: ReadonlyArray<Operation> = [
    { kind: "push", service: serviceNames[0], page: 0, hints: 1 },
    { kind: "create", service: serviceNames[0] }
  ]
  const more = Array.from({ length: 6 + chance.below(14) }, () =>
    choose(chance, calm, secretOf(seed))
  )
  return [...first, ...more]
}

/** What must be read nowhere in that life. */
export const secretOf = (seed: string): string => `canary-${seed}-Xq7`

/** `calm`: no cancel and nothing that takes long, so that the end follows from the commands alone. */
const choose = (chance: Chance, calm: boolean, secret: string): Operation => {
  const service = chance.pick(serviceNames)
  const roll = chance.below(100)
  if (roll < 14) return { kind: "create", service }
  if (roll < 42) {
    const page = chance.pick<Page>([0, 1, 2, 3])
    const bad = chance.pick<Page>(
      calm ? ["build-fails", "never-healthy"] : ["build-fails", "never-healthy", "never-answers"]
    )
    const hints = calm ? 1 : chance.pick([1, 1, 1, 2, 0])
    return { kind: "push", service, page: chance.happens(0.15) ? bad : page, hints }
  }
  if (roll < 46) return { kind: "hint", service }
  if (roll < 54) return { kind: "redeploy", service }
  if (roll < 62) {
    return { kind: "rollback", service, to: chance.happens(0.5) ? null : 1 + chance.below(6) }
  }
  if (roll < 72) return { kind: "update", service, change: changeOf(chance, secret) }
  if (roll < 79) return calm ? { kind: "redeploy", service } : { kind: "cancel", service }
  if (roll < 84) return { kind: "delete", service }
  if (roll < 90) return { kind: "restore", service }
  if (calm) return { kind: "pass", millis: 100 }
  if (roll < 92) return { kind: "kill" }
  if (roll < 94) return { kind: "restart" }
  if (roll < 96) return { kind: "cut" }
  return { kind: "pass", millis: chance.pick([1_000, 20_000, 70_000]) }
}

const changeOf = (chance: Chance, secret: string): Change => {
  const variable = chance.pick(["TOKEN", "MODE"] as const)
  const roll = chance.below(4)
  if (roll === 0) return { memory: chance.pick([64, 128, 256]) }
  if (roll === 1) return { removed: variable }
  return { variable, value: `${secret}-${chance.below(3)}` }
}

/** The number of the deployment that the answer is about; null: it is about none. */
export const command = (
  operation: Exclude<Operation, { kind: "push" | "hint" | "kill" | "restart" | "cut" | "pass" }>,
  key: string
) =>
  Effect.gen(function* () {
    const services = yield* Services
    const deployments = yield* Deployments
    const idempotencyKey = IdempotencyKey.make(key)
    const at = { name: operation.service, idempotencyKey }
    switch (operation.kind) {
      case "create": {
        const repo = RepositoryRef.make(operation.service)
        const { created } = yield* services.create({ ...at, repo, settings: {}, variables: {} })
        return { number: null, said: created ? "created" : "was there" }
      }
      case "redeploy":
        return told(yield* services.redeploy(at))
      case "rollback":
        return told(
          yield* services.rollback({
            ...at,
            ...(operation.to === null ? {} : { to: operation.to })
          })
        )
      case "cancel":
        return told(yield* deployments.cancel(at))
      case "delete": {
        const { removed } = yield* services.remove(at)
        return { number: null, said: removed ? "removed" : "was not there" }
      }
      case "restore": {
        const { restored } = yield* services.restore(at)
        return { number: null, said: restored ? "restored" : "was there" }
      }
      case "update": {
        const { changed } = yield* services.update({ ...at, ...inputOf(operation.change) })
        return { number: null, said: `changed ${changed.length}` }
      }
    }
  })

const told = ({ number, status }: { readonly number: number; readonly status: string }) => ({
  number,
  said: `#${number} ${status}`
})

const inputOf = (change: Change) =>
  "memory" in change
    ? { settings: { memory: change.memory }, variables: {} }
    : "removed" in change
      ? { settings: {}, variables: {}, removeVariables: [VariableName.make(change.removed)] }
      : {
          settings: {},
          variables: { [VariableName.make(change.variable)]: Redacted.make(change.value) }
        }

/** The code of a refusal; anything else is a defect. */
export const codeOf = (error: unknown): string =>
  error instanceof CommandError ? error.failure.code : "defect"
