/** A release's variables, sealed to a node's key: the same words each time it is told, until it is forgotten. */
import { sealTo } from "@deploy-mcp/domain/node/SealedBox"
import { Vault } from "@deploy-mcp/domain/Vault"
import { Effect, Redacted } from "effect"
import { EveryOwner } from "../store/Owned.ts"
import type { ReleaseRow } from "../store/ReleaseStore.ts"
import { ServiceStore, variableContext } from "../store/ServiceStore.ts"

export const sealedVariables = Effect.gen(function* () {
  const vault = yield* Vault
  const everyone = yield* EveryOwner
  const services = yield* ServiceStore
  const boxes = new Map<string, string>()

  /** Null when there are none, or nothing runs that could read them. */
  const sealed = Effect.fnUntraced(function* (row: ReleaseRow, nodeKey: string) {
    if (row.variables.length === 0 || row.artifact.runtime.kind === "static") return null
    const known = boxes.get(row.id)
    if (known !== undefined) return known
    const opened: Record<string, string> = {}
    for (const variable of yield* services.variablesById(everyone, row.variables)) {
      const value = yield* vault.open(variable.sealed, variableContext(row.stageId, variable.name))
      opened[variable.name] = Redacted.value(value)
    }
    const box = yield* Effect.promise(() => sealTo(nodeKey, JSON.stringify(opened)))
    boxes.set(row.id, box)
    return box
  }, Effect.orDie)

  return {
    sealed,
    forget: (release: string) => void boxes.delete(release),
    forgetAll: () => boxes.clear()
  }
})
