/** Variables of services on their way into rows: checked, fingerprinted, sealed. */
import { type CommandError, refuse } from "@deploy-mcp/domain/Failure"
import type { StageId } from "@deploy-mcp/domain/model/Ids"
import { reservedVariable } from "@deploy-mcp/domain/model/Names"
import { Principal } from "@deploy-mcp/domain/model/Principal"
import { Vault } from "@deploy-mcp/domain/Vault"
import { Effect, Redacted } from "effect"
import { ServiceStore, type VariableRow, variableContext } from "../store/ServiceStore.ts"

const maxVariables = 200
const maxVariableBytes = 32 * 1024

type Values = Readonly<Record<string, Redacted.Redacted>>

/** What is known of a variable without its value. */
export interface HeldVariable {
  readonly name: string
  readonly fingerprint: string
  readonly runtimeOnly: boolean
}

/** One to be stored: a new value, or the sealed one of the version before. */
export interface NewVariable extends HeldVariable {
  readonly value: Redacted.Redacted | { readonly sealed: string }
}

export const asHeld = ({ name, fingerprint, runtimeOnly }: VariableRow): HeldVariable => ({
  name,
  fingerprint,
  runtimeOnly: runtimeOnly === 1
})

/** `held` are the names that stay besides these. */
export const checkVariables = Effect.fnUntraced(function* (
  values: Values,
  runtimeOnly: ReadonlyArray<string>,
  held: ReadonlyArray<string> = []
): Effect.fn.Return<void, CommandError> {
  const names = Object.keys(values)
  const reserved = names.find(reservedVariable)
  if (reserved !== undefined) {
    return yield* refuse(
      "variable_reserved",
      `env_vars.${reserved}: the platform sets this variable itself.`
    )
  }
  const all = new Set([...names, ...held])
  if (all.size > maxVariables) {
    return yield* refuse(
      "limit_reached",
      `env_vars: at most ${maxVariables} variables are allowed.`
    )
  }
  const large = Object.entries(values).find(
    ([, value]) => Buffer.byteLength(Redacted.value(value)) > maxVariableBytes
  )
  if (large !== undefined) {
    return yield* refuse("limit_reached", `env_vars.${large[0]}: at most 32 KiB are allowed.`)
  }
  const unknown = runtimeOnly.find((name) => !all.has(name))
  if (unknown !== undefined) {
    return yield* refuse("invalid_argument", `runtime_only: there is no variable '${unknown}'.`, {
      next: "Name variables that are in env_vars or that the service has."
    })
  }
})

/** Needs the vault; values are opened nowhere here. */
export const sealing = Effect.gen(function* () {
  const vault = yield* Vault
  const services = yield* ServiceStore
  return {
    fingerprinted: (values: Values, runtimeOnly: ReadonlyArray<string>) =>
      Effect.forEach(Object.entries(values), ([name, value]) =>
        Effect.map(
          vault.fingerprint(value),
          (fingerprint): NewVariable => ({
            name,
            fingerprint,
            runtimeOnly: runtimeOnly.includes(name),
            value
          })
        )
      ),
    /** Run it inside a transaction. */
    put: Effect.fnUntraced(function* (stage: StageId, variables: ReadonlyArray<NewVariable>) {
      const { owner } = yield* Principal
      for (const { name, fingerprint, runtimeOnly, value } of variables) {
        const sealed = Redacted.isRedacted(value)
          ? yield* vault.seal(value, variableContext(stage, name))
          : value.sealed
        yield* services.putVariable({ owner, stage, name, sealed, fingerprint, runtimeOnly })
      }
    })
  }
})
