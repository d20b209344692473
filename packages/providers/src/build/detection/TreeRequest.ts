/** Whether an install may be kept for later builds, from which files it is made and under which key. */
import { createHash } from "node:crypto"
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect } from "effect"
import { fetchedTree } from "./FetchedTree.ts"
import { npmTree } from "./NpmTree.ts"
import { pythonTree } from "./PythonTree.ts"

export interface TreeInput {
  /** What the install leaves, e.g. `node_modules`. */
  readonly folder: string
  /** Files to install from, by name. */
  readonly files: Readonly<Record<string, string>>
  /** Whether an install may see the tenant's variables, because it can make use of them. */
  readonly usesVariables: boolean
}

export interface TreeRequest extends TreeInput {
  readonly key: string
}

/** Null: this install has to run among the project's files, each time. */
export const treeRequest = Effect.fn("Build.treeRequest")(function* (
  root: string,
  install: string,
  identity: ReadonlyArray<string>,
  variables: Readonly<Record<string, string>>
): Effect.fn.Return<TreeRequest | null, BuildError> {
  const input =
    (yield* npmTree(root, install)) ??
    (yield* fetchedTree(root, install)) ??
    (yield* pythonTree(root, install))
  if (input === null) return null
  const seen = input.usesVariables ? Object.entries(variables).sort() : []
  const parts = JSON.stringify([install, identity, Object.entries(input.files), seen])
  return { ...input, key: createHash("sha256").update(parts).digest("hex") }
})
