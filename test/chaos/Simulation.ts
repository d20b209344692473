/**
 * One simulated life of the platform: callers, faults and crashes that all follow from a seed, then rest.
 * Nothing in it waits for the machine's clock, so equal seeds give equal traces.
 */
import { createHash } from "node:crypto"
import { join } from "node:path"
import { Build } from "@deploy-mcp/domain/Build"
import { type Chance, chanceOf } from "@deploy-mcp/domain/chaos/Chance"
import { type Invariant, type Violation, violationsOf } from "@deploy-mcp/domain/chaos/Invariant"
import { invariants as allInvariants } from "@deploy-mcp/domain/chaos/Invariants"
import type { WorldView } from "@deploy-mcp/domain/chaos/WorldView"
import { BuildWorld } from "@deploy-mcp/providers/build/memory/BuildMemory"
import { Context, Effect, Scope } from "effect"
import { Control, type Pace, type Services, soonOld } from "./Control.ts"
import { afterPromises, cryptoIsUnderWay, watchCrypto } from "./Crypto.ts"
import { type Boundary, JournalWatch, nameOf } from "./JournalWatch.ts"
import { makeLink } from "./Link.ts"
import { Look } from "./Look.ts"
import { noStorm, type Storm } from "./Storm.ts"
import { copyTemplate, freshHome, removeHome, type Template } from "./Template.ts"
import { SimulatedTime } from "./Time.ts"
import { type Worlds, worldsIn } from "./Worlds.ts"

export interface SimulationOptions {
  readonly seed: string
  /** Folder of a furnished database; null: an empty one. */
  readonly template: { readonly home: string; readonly facts: Template } | null
  readonly storm?: (chance: Chance, time: SimulatedTime) => Storm
  /** Whether a fiber may have to stop anywhere for others; else they take turns as usual. */
  readonly shuffled?: boolean
  readonly invariants?: ReadonlyArray<Invariant>
  readonly pace?: Pace
  /** Names of boundaries of the journal at which control ends, one after the other. */
  readonly crashAt?: ReadonlyArray<string>
  /** Told the place of each call to a provider and each commit, counted from 0. */
  readonly meets?: (call: number) => void
}

/** What callers were told, as the view wants it but open to more. */
export class Ledger {
  readonly accepted = new Map<string, string>()
  readonly keyed = new Map<string, Set<string>>()
  readonly heads = new Map<string, string>()
  readonly restored = new Set<string>()
  readonly secrets: Array<string> = []
}

export class Simulation {
  readonly time = new SimulatedTime()
  readonly home: string
  readonly ledger = new Ledger()
  readonly trace: Array<string> = []
  readonly violations: Array<Violation> = []
  readonly link = makeLink()
  readonly chance: Chance
  readonly storm: Storm
  readonly worlds: Worlds
  /** Boundaries of the journal, in the order in which they came. */
  readonly passed: Array<string> = []
  /** Calls to providers and commits, in the order in which they came. */
  readonly called: Array<string> = []
  crashes = 0
  control: Control | null = null
  private readonly pace: Pace
  private readonly options: SimulationOptions
  private readonly printed: Array<string> = []
  private readonly builds = new Map<string, number>()
  private readonly journal = new JournalWatch()
  private readonly crashAt: Array<string>
  private readonly ids: Chance
  private readonly realRandom = Math.random
  private opened: Look | null = null
  private nodeIsTold = true
  private before: WorldView | null = null

  private constructor(options: SimulationOptions, home: string, worlds: Worlds) {
    this.options = options
    this.pace = options.pace ?? soonOld
    this.home = home
    this.crashAt = [...(options.crashAt ?? [])]
    this.chance = chanceOf(options.seed)
    this.ids = this.chance.fork("ids")
    this.storm = options.storm?.(this.chance.fork("storm"), this.time) ?? noStorm
    this.worlds = this.watched(worlds)
    if (options.template !== null) copyTemplate(options.template.home, this.home)
    Math.random = this.chance.fork("random").real
  }

  static async make(options: SimulationOptions): Promise<Simulation> {
    watchCrypto()
    const home = freshHome()
    const worlds = await Effect.runPromise(
      worldsIn(join(home, "artifacts")).pipe(Effect.provideService(Scope.Scope, Scope.makeUnsafe()))
    )
    return new Simulation(options, home, worlds)
  }

  get look(): Look {
    this.opened ??= new Look({
      home: this.home,
      time: this.time,
      worlds: this.worlds,
      keptHistory: this.pace.keptHistory,
      builds: this.builds,
      printed: this.printed
    })
    return this.opened
  }

  get isUp(): boolean {
    return this.control?.isAlive ?? false
  }

  note(line: string): void {
    this.trace.push(`${this.time.elapsed} ${line}`)
  }

  print(line: string): void {
    this.printed.push(line)
  }

  /** A new life of control, once the last one has ended. */
  async start(): Promise<void> {
    this.note("control starts")
    const { chance, home, ids, link, pace, storm, time, worlds } = this
    this.control = new Control({
      home,
      time,
      worlds,
      build: counting(worlds.builder(), this.builds),
      link,
      ids,
      pace,
      turns: this.options.shuffled ? chance.fork(`turns ${this.crashes}`) : null,
      verdict: (call) => {
        this.options.meets?.(this.called.push(call) - 1)
        const given = storm.verdict(call)
        if (given.kind !== "ok") this.note(`${call}: ${JSON.stringify(given)}`)
        if (given.kind !== "ok" && call.startsWith("deploy.")) this.nodeIsTold = false
        return given
      },
      journal: this.journal,
      passes: (boundary) => this.passes(boundary),
      forgets: () => this.check(),
      died: (where) => {
        this.crashes += 1
        this.note(`control dies in ${where}`)
      },
      logged: (line) => this.print(line)
    })
    await this.settle()
  }

  private passes(boundary: Boundary): boolean {
    const name = nameOf(boundary)
    this.passed.push(name)
    if (this.crashAt[0] !== name) return false
    this.crashAt.shift()
    this.note(`control is at ${name}`)
    return true
  }

  /** Runs a caller's effect in control; `done` is not called when control dies before. */
  ask<A, E, R extends Services>(
    effect: Effect.Effect<A, E, R>,
    done: (answer: { readonly value: A } | { readonly error: unknown }) => void
  ): void {
    const { control } = this
    if (control?.context == null) return
    const told = effect.pipe(
      Effect.matchCause({
        onFailure: (cause) => done({ error: firstError(cause.reasons) }),
        onSuccess: (value) => done({ value })
      })
    )
    control.run(told, control.context as Context.Context<R>)
  }

  /** Lets simulated time pass, or what is left of it until control dies. */
  async pass(millis: number): Promise<void> {
    const until = this.time.now + millis
    const wasUp = this.isUp
    await this.settle()
    while (this.violations.length === 0 && !(wasUp && !this.isUp) && this.time.step(until)) {
      await this.settle()
    }
  }

  /** Until nothing is left to do at this moment. */
  private async settle(): Promise<void> {
    const turns = this.control?.turns
    for (;;) {
      while (turns?.ready && !cryptoIsUnderWay()) turns.runOne()
      await afterPromises()
      if (!turns?.ready && !cryptoIsUnderWay()) return
    }
  }

  /** Looks at everything; what is wrong is kept, and ends the simulation. */
  check(when: Invariant["when"] = "always", undisturbed: WorldView["undisturbed"] = null): void {
    if (this.opened === null && this.control?.context == null) return
    const now = this.look.view(this.standing, this.ledger, undisturbed)
    const list = this.options.invariants ?? allInvariants
    this.violations.push(...violationsOf(list, when, now, this.before))
    // Whoever holds the handle of one that is old was told that it would go.
    for (const { deployment } of this.before?.deployments ?? []) {
      if (now.deployments.every((one) => one.deployment !== deployment)) {
        this.ledger.accepted.delete(deployment)
      }
    }
    this.before = now
  }

  get view(): WorldView {
    return this.look.view(this.standing, this.ledger)
  }

  private get standing() {
    return { control: this.isUp, nodeIsTold: this.nodeIsTold && !this.link.wasCut() }
  }

  hash(): string {
    return createHash("sha256").update(this.trace.join("\n")).digest("hex").slice(0, 16)
  }

  /** Nobody has the database open any more, so that all of it is in its file. */
  end(): void {
    this.control?.kill("the end")
    this.opened?.close()
    this.opened = null
  }

  close(): void {
    this.end()
    Math.random = this.realRandom
    removeHome(this.home)
  }

  /** The worlds with somebody who counts builds and looks at the node after each change. */
  private watched(worlds: Worlds): Worlds {
    const { deploy } = worlds
    const looked = <A, E>(effect: Effect.Effect<A, E>, what: string) =>
      Effect.tap(effect, () =>
        Effect.sync(() => {
          this.note(`node: ${what}`)
          this.check()
        })
      )
    return {
      ...worlds,
      deploy: {
        ...deploy,
        snapshot: (stages) => looked(deploy.snapshot(stages), `a snapshot of ${stages.length}`),
        ensure: (spec) =>
          looked(deploy.ensure(spec), `${spec.stage} ${spec.generation} leads to ${spec.route}`),
        remove: (stage, generation) =>
          looked(deploy.remove(stage, generation), `${stage} ${generation} is removed`)
      }
    }
  }
}

/** Counts the builds that have been made since their artifact was last removed. */
const counting = (
  builder: ReturnType<Worlds["builder"]>,
  counted: Map<string, number>
): Build["Service"] => {
  const build = Context.get(builder, Build)
  const { builds } = Context.get(builder, BuildWorld)
  const seen = new Map<string, number>()
  return Build.of({
    ...build,
    artifact: (request) =>
      Effect.tap(build.artifact(request), () =>
        Effect.sync(() => {
          const { key } = request
          const all = builds.get(key) ?? 0
          const fresh = all - (seen.get(key) ?? 0)
          seen.set(key, all)
          counted.set(key, (counted.get(key) ?? 0) + fresh)
        })
      ),
    remove: (key) => Effect.tap(build.remove(key), () => Effect.sync(() => counted.delete(key)))
  })
}

const firstError = (reasons: ReadonlyArray<object>): unknown => {
  const [reason] = reasons
  if (reason === undefined) return undefined
  return "error" in reason ? reason.error : "defect" in reason ? reason.defect : reason
}
