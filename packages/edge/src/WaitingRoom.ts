/**
 * Lets a request in to the live release of its stage. While that one is starting or wakes up, or a
 * crashed process comes back, the request waits: most starts are shorter than anybody's patience.
 */
import type { ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import { crowded, failed, notLive, type Page, type StartState, starting } from "./Pages.ts"
import type { Release } from "./Release.ts"
import type { Stage } from "./Stage.ts"
import type { StaticFiles } from "./StaticFiles.ts"
import type { Upstream } from "./Upstream.ts"

/** Exactly one of the three ways is taken, or none when the client leaves before. */
export interface Visitor {
  readonly client: ServerResponse | Duplex
  /** Somebody looks at an empty window meanwhile: a page that asks again by itself is better. */
  readonly looks: () => boolean
  readonly refuse: (page: Page) => void
  readonly files: (files: StaticFiles) => void
  /**
   * `name` is the service's. `unreachable` is to be called when no connection came about and nothing
   * was sent.
   */
  readonly upstream: (
    release: Release,
    upstream: Upstream,
    name: string,
    unreachable: () => void
  ) => void
}

export interface Patience {
  /** Milliseconds that a request waits in all. */
  readonly holdMs: number
  /** The same for somebody who looks. */
  readonly lookMs: number
  /** How many requests may wait for one stage. */
  readonly places: number
}

/**
 * `found` is what `find` has just said; it is asked again after each wait, because the hostname may lead
 * to another stage by then.
 */
export const admit = (
  found: Stage | Page,
  find: () => Stage | Page,
  { holdMs, lookMs, places }: Patience,
  visitor: Visitor
): void => {
  // The clock begins to run when it is first asked: most requests never wait.
  let began: number | null = null
  const left = (ms: number): number => {
    const now = performance.now()
    began ??= now
    return ms - (now - began)
  }
  const enter = (stage = find()): void => {
    if ("status" in stage) {
      visitor.refuse(stage)
      return
    }
    const { spec, target } = stage
    if (target === null) visitor.refuse(notLive(spec.name))
    else if (target.files !== null) visitor.files(target.files)
    else if (target.upstream !== null) {
      visitor.upstream(target, target.upstream, spec.name, () => again(stage))
    } else if (target.observed.state === "failed") {
      visitor.refuse(failed(spec.name, target.observed.failure?.code ?? null))
    } else {
      const state = stateOf(target)
      target.wake()
      const ms = left(visitor.looks() ? lookMs : holdMs)
      if (ms <= 0) visitor.refuse(starting(spec.name, state))
      else if (stage.waiting >= places) visitor.refuse(crowded(spec.name, state))
      else wait(stage, ms, visitor.client, enter)
    }
  }
  /** The process refused although it was healthy a moment ago: it is going, or coming back. */
  const again = (stage: Stage): void => {
    const ms = left(holdMs)
    if (ms > 0) wait(stage, Math.min(100, ms), visitor.client, enter)
    else visitor.refuse(failed(stage.spec.name, null))
  }
  enter(found)
}

const stateOf = ({ observed }: Release): StartState =>
  observed.asleep === undefined ? "starting" : "waking"

/** Calls back at the stage's next change or after `ms`; never when the client has left. */
const wait = (stage: Stage, ms: number, client: Visitor["client"], callback: () => void): void => {
  if (client.destroyed) return
  const settle = (): void => {
    clearTimeout(timer)
    forget()
    client.off("close", settle)
    if (!client.destroyed) callback()
  }
  const timer = setTimeout(settle, ms)
  const forget = stage.onceChanged(settle)
  client.once("close", settle)
}
