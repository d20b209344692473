/** What the last comparison of the world with the rows found, as the platform keeps it for its operator. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Reconciled } from "@deploy-mcp/runtime/reconcile/Reconciled"
import { eventually } from "./Eventually.ts"
import type { Platform } from "./Platform.ts"

export const reconciled = ({ home }: Platform): Reconciled | null => {
  const file = join(home, "run", "reconciled.json")
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : null
}

/** What is found at a start that begins now; the platform is stopped. */
export const differencesAtStart = async (
  platform: Platform
): Promise<Reconciled["differences"]> => {
  const before = reconciled(platform)?.at ?? 0
  await platform.start()
  const found = await eventually("the world was compared", () => {
    const now = reconciled(platform)
    return now !== null && now.at > before && now
  })
  return found.differences
}
