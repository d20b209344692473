/**
 * Which tools an address stands for: `?toolsets=deploy,keys`. Models choose worse from long lists and
 * clients cut them, so the default is one short set, and people add others to the address they configure.
 */
import { type CommandError, refuse } from "@deploy-mcp/domain/Failure"
import { Effect } from "effect"
import type { Toolset } from "./Tool.ts"

/** In the order of their tools; at most 25 tools are in the default. */
export const defaultToolsets: ReadonlyArray<Toolset> = ["deploy"]
export const servedToolsets: ReadonlyArray<Toolset> = ["deploy", "keys"]

/** Comma-separated names, or `all`. Fails with `invalid_argument`. */
export const chosenToolsets = (
  search: URLSearchParams
): Effect.Effect<ReadonlyArray<Toolset>, CommandError> => {
  const given = search.get("toolsets")
  if (given === null) return Effect.succeed(defaultToolsets)
  const names = given.split(",").map((name) => name.trim())
  if (names.includes("all")) return Effect.succeed(servedToolsets)
  const chosen = servedToolsets.filter((name) => names.includes(name))
  return new Set(names).size === chosen.length
    ? Effect.succeed(chosen)
    : Effect.fail(
        refuse("invalid_argument", "'toolsets' in the address names a toolset that there is not.", {
          evidence: [`toolsets: ${servedToolsets.join(", ")}, or all`],
          next: "Correct ?toolsets= in the address of this server, or leave it out, and connect again."
        })
      )
}
