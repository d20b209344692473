/** What the platform itself found when it last compared the world with its rows. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Clock, Effect, Option, Schema } from "effect"
import { Reconciled } from "../reconcile/Reconciled.ts"
import { ok, warn } from "./Machine.ts"

export const reconciled = Effect.fnUntraced(function* (folder: string) {
  const file = join(folder, "run", "reconciled.json")
  const last = yield* Effect.sync(() => (existsSync(file) ? readFileSync(file, "utf8") : ""))
  const found = Option.getOrNull(decode(last))
  if (found === null) return ok("reconcile", "not compared with the rows yet")
  const minutes = Math.floor(((yield* Clock.currentTimeMillis) - found.at) / 60_000)
  const ago = minutes === 0 ? "just now" : `${minutes} min ago`
  const left = found.differences.filter(({ outcome }) => outcome !== "mended")
  const mended = found.differences.length - left.length
  if (left.length === 0) {
    return ok(
      "reconcile",
      mended === 0
        ? `nothing differed from the rows ${ago}`
        : `${mended} of ${mended} differences mended ${ago}; the log names them`
    )
  }
  return warn(
    "reconcile",
    `${ago}: ${left.map(({ sentence }) => sentence).join(" ")}`,
    "Read the platform's log, which says what to do about each."
  )
})

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Reconciled))
