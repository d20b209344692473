/** How a running tool tells its caller that it is getting on. Never needed for a correct answer. */
import { Context, Effect } from "effect"

export class Progress extends Context.Service<
  Progress,
  {
    /** `done` of `total`, in any unit, with a few words for people. Must not fail. */
    readonly report: (done: number, total: number, message: string) => Effect.Effect<void>
  }
>()("@deploy-mcp/mcp/Progress") {}

/** For callers that did not ask to be told. */
export const silent = Progress.of({ report: () => Effect.void })
