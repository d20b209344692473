/** What callers may ask of deployments. */
import { Context, type Effect } from "effect"
import type { CommandError } from "../Failure.ts"
import type { IdempotencyKey } from "../model/Names.ts"
import type { Principal } from "../model/Principal.ts"
import type { Replay } from "./Replay.ts"
import type { ServiceRef } from "./Services.ts"
import type { DeploymentView } from "./Views.ts"

type Command<A> = Effect.Effect<A, CommandError, Principal>

export interface WaitForDeployment extends ServiceRef {
  /** Absent: the newest. */
  readonly number?: number
  /** At most 45 000. */
  readonly timeoutMs: number
  /** Told of each change of status or phase. */
  readonly onChange: (view: DeploymentView) => Effect.Effect<void>
}

export class Deployments extends Context.Service<
  Deployments,
  {
    /** Newest first; `before` is a deployment's number. */
    readonly list: (
      input: ServiceRef & { readonly limit: number; readonly before?: number }
    ) => Command<ReadonlyArray<DeploymentView>>
    /** Returns when it has ended or the time is up, whichever is first; `finished` tells which. */
    readonly wait: (
      input: WaitForDeployment
    ) => Command<{ readonly deployment: DeploymentView; readonly finished: boolean }>
    /** What a deployment (absent: the newest) did so far, step by step; holds no secret. */
    readonly replay: (input: ServiceRef & { readonly number?: number }) => Command<Replay>
    /**
     * Ends a deployment (absent: the newest) that is not live yet; the release before stays. `too_late`
     * when it is live. One that has ended otherwise is left as it is.
     */
    readonly cancel: (
      input: ServiceRef & { readonly number?: number; readonly idempotencyKey?: IdempotencyKey }
    ) => Command<DeploymentView>
  }
>()("@deploy-mcp/domain/commands/Deployments") {}
