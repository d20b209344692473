/** What a provider builds with, as far as a plan depends on it. */
import type { Effect } from "effect"

export interface PlanTools {
  /** The provider's own. Raise it when the same input would now give another artifact. */
  readonly revision: string
  /** Null: projects that need npm are refused. */
  readonly npm: { readonly version: string } | null
  readonly languages: {
    readonly python: Effect.Effect<LanguageVersion | null>
    readonly go: Effect.Effect<LanguageVersion | null>
  }
  /** `linux x64 glibc`: what compiled code runs on. */
  readonly platform: string
  /** Names and versions of what shapes a build with npm, the revision first. */
  readonly versions: ReadonlyArray<string>
}

interface LanguageVersion {
  /** `go 1.26.8`. */
  readonly version: string
}
