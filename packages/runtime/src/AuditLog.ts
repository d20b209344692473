/**
 * Every call of a tool as a line of JSON in `logs/audit.ndjson` of the home, whichever door it came
 * through. A full file becomes `audit.1.ndjson`, and what was in that one goes.
 */
import { appendFileSync, existsSync, mkdirSync, renameSync, statSync } from "node:fs"
import { join } from "node:path"
import { Audit } from "@deploy-mcp/mcp/Audit"
import { Effect, Layer } from "effect"

/** About 25,000 calls in each of the two files. */
const defaultBytes = 4 * 1024 * 1024

export const layer = (home: string, maxBytes = defaultBytes) =>
  Layer.effect(
    Audit,
    Effect.sync(() => {
      const folder = join(home, "logs")
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      const file = join(folder, "audit.ndjson")
      let bytes = existsSync(file) ? statSync(file).size : 0
      const append = (line: string) => {
        if (bytes > 0 && bytes + line.length > maxBytes) {
          renameSync(file, join(folder, "audit.1.ndjson"))
          bytes = 0
        }
        appendFileSync(file, line, { mode: 0o600 })
        bytes += line.length
      }
      return {
        record: ({ at, ...entry }) =>
          Effect.try(() =>
            append(`${JSON.stringify({ at: new Date(at).toISOString(), ...entry })}\n`)
          ).pipe(
            // A full disk is no reason to refuse calls.
            Effect.catch((error) => Effect.logError("A call could not be written down.", error))
          )
      }
    })
  )
