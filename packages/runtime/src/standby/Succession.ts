/** Whether somebody goes on where this process stops: what outlives it is then left alone. */
import { Context, Effect, Layer } from "effect"
import type { StandbyOptions } from "./Standby.ts"

export class Succession extends Context.Service<
  Succession,
  {
    /** Another control process waits to take over. */
    readonly isAwaited: Effect.Effect<boolean>
  }
>()("@deploy-mcp/runtime/Succession") {
  /** Ready when this process may act. Rows in a file have no other process; Postgres is loaded when it is used. */
  static readonly layer = ({ url, ...options }: SuccessionOptions) =>
    url === null
      ? Layer.succeed(Succession, { isAwaited: Effect.succeed(false) })
      : Layer.unwrap(Effect.map(standby, ({ layer }) => layer({ ...options, url })))
}

const standby = Effect.promise(() => import("./Standby.ts"))

type SuccessionOptions = Omit<StandbyOptions, "url"> & {
  readonly url: StandbyOptions["url"] | null
}
