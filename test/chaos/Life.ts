/** A whole simulated life from its seed: commands with faults among them, rest, and what was found. */
import { copyFileSync } from "node:fs"
import { join } from "node:path"
import { type Chance, chanceOf } from "@deploy-mcp/domain/chaos/Chance"
import type { Verdict } from "@deploy-mcp/domain/chaos/Faults"
import type { Invariant, Violation } from "@deploy-mcp/domain/chaos/Invariant"
import { projectionOf } from "@deploy-mcp/domain/chaos/WorldView"
import { defaultBranch } from "@deploy-mcp/domain/model/Names"
import { Principal } from "@deploy-mcp/domain/model/Principal"
import { GitAccess } from "@deploy-mcp/runtime/http/GitAccess"
import { Effect, Fiber, Stream } from "effect"
import {
  codeOf,
  command,
  filesOf,
  type Named,
  type Operation,
  operationsOf,
  secretOf,
  serviceNames
} from "./Operations.ts"
import { Simulation } from "./Simulation.ts"
import { noStorm, only, type Storm, stormOf } from "./Storm.ts"
import { freshHome, furnish, removeHome, type Template } from "./Template.ts"
import type { SimulatedTime } from "./Time.ts"

export interface LifeReport {
  readonly seed: string
  readonly hash: string
  readonly violations: ReadonlyArray<Violation>
  readonly trace: ReadonlyArray<string>
  /** Of a calm seed those of the life without faults too. */
  readonly deployments: number
  readonly crashes: number
  /** Simulated. */
  readonly seconds: number
}

export interface LifeOptions {
  readonly invariants?: ReadonlyArray<Invariant>
}

interface Kept {
  readonly home: string
  readonly facts: Template
}
let template: Promise<Kept> | null = null

/** Every third life is calm: its commands come one after the other, and its end is compared with a life without faults. */
export const live = async (seed: string, options: LifeOptions = {}): Promise<LifeReport> => {
  template ??= makeTemplate()
  const kept = await template
  const chance = chanceOf(seed)
  const calm = chance.happens(1 / 3)
  const shuffled = chance.happens(0.7)
  const operations = operationsOf(seed, calm)
  const run = async (stormy: boolean, undisturbed: ReadonlyArray<string> | null) => {
    const storm: StormOf = (chance, time) => (stormy ? stormOf(chance, time, calm) : noStorm)
    const life = await Life.make(kept, seed, { ...options, calm, shuffled, hangUp: false, storm })
    try {
      return await life.run(operations, undisturbed)
    } finally {
      life.simulation.close()
    }
  }
  if (!calm) return (await run(true, null)).report
  const { end, report } = await run(false, null)
  if (report.violations.length > 0) return report
  const stormy = (await run(true, end)).report
  return { ...stormy, deployments: report.deployments + stormy.deployments }
}

export interface Scenario {
  /** What is there before. */
  readonly before: ReadonlyArray<Operation>
  readonly operations: ReadonlyArray<Operation>
}

/** What comes between the commands of a scenario. */
export interface Plan {
  /** Boundaries of the journal at which control ends, one after the other. */
  readonly crashAt?: ReadonlyArray<string>
  /** What becomes of one call to a provider or one commit, by its place among all of the life. */
  readonly fault?: { readonly call: number; readonly verdict: Verdict }
  /** What a caller asks for as this call is made. */
  readonly meanwhile?: { readonly call: number; readonly operation: Operation }
  /** Whoever was not answered when control ended does not ask again. */
  readonly hangUp?: boolean
  /** A fiber may have to stop anywhere for others, as this seed has it; absent: they take turns as usual. */
  readonly turns?: string
}

export interface Lived {
  readonly report: LifeReport
  /** How it ended, for a life with the same commands to end like it. */
  readonly end: ReadonlyArray<string>
  /** The boundaries of the journal since the commands of the scenario began. */
  readonly passed: ReadonlyArray<string>
  /** The calls and commits from then until all was answered: what was called, by its place among all. */
  readonly called: ReadonlyMap<number, string>
}

/** A life without faults but those of the plan, one command after the other. */
export const liveThrough = async (
  { before, operations }: Scenario,
  plan: Plan = {},
  undisturbed: ReadonlyArray<string> | null = null
): Promise<Lived> => {
  template ??= makeTemplate()
  const { fault, hangUp = false, turns } = plan
  const storm = () => (fault === undefined ? noStorm : only(fault.call, fault.verdict))
  const manner = { ...plan, calm: true, shuffled: turns !== undefined, hangUp, storm }
  const life = await Life.make(await template, `scenario ${turns ?? ""}`, manner)
  try {
    return await life.run([...before, ...operations], undisturbed, before.length)
  } finally {
    life.simulation.close()
  }
}

/** What a life before all lives leaves, to be copied. */
const makeTemplate = async (): Promise<Kept> => {
  const simulation = await Simulation.make({ seed: "template", template: null })
  await simulation.start()
  let facts: Template | null = null
  simulation.ask(furnish, (answer) => {
    if ("value" in answer) facts = answer.value
  })
  await simulation.pass(1_000)
  if (facts === null) throw new Error("the template could not be furnished")
  simulation.end()
  const home = freshHome()
  process.once("exit", () => removeHome(home))
  copyFileSync(join(simulation.home, "deploy-mcp.db"), join(home, "deploy-mcp.db"))
  simulation.close()
  return { home, facts }
}

interface Manner {
  readonly calm: boolean
  readonly shuffled: boolean
  readonly hangUp: boolean
  readonly storm: StormOf
}

type StormOf = (chance: Chance, time: SimulatedTime) => Storm

/** A command that was sent and has no answer yet. */
interface Asked {
  readonly operation: Operation
  readonly key: string
}

class Life {
  readonly simulation: Simulation
  private readonly kept: Kept
  private readonly seed: string
  private readonly manner: Manner
  private readonly unanswered = new Map<string, Asked>()

  private constructor(kept: Kept, seed: string, manner: Manner, simulation: Simulation) {
    this.kept = kept
    this.seed = seed
    this.manner = manner
    this.simulation = simulation
    simulation.ledger.secrets.push(secretOf(seed))
  }

  static async make(
    kept: Kept,
    seed: string,
    { meanwhile, ...options }: LifeOptions & Plan & Manner
  ): Promise<Life> {
    const simulation = await Simulation.make({
      ...options,
      seed,
      template: kept,
      meets: (call) => {
        if (call === meanwhile?.call) void life.perform(meanwhile.operation, "meanwhile")
      }
    })
    const life = new Life(kept, seed, options, simulation)
    return life
  }

  /** `lookedAt`: the index of the operation from which on boundaries and calls count. */
  async run(
    operations: ReadonlyArray<Operation>,
    undisturbed: ReadonlyArray<string> | null,
    lookedAt = 0
  ): Promise<Lived> {
    const { called, chance, passed, trace, violations } = this.simulation
    await this.boot()
    let since = { passed: 0, called: 0 }
    for (const [index, operation] of operations.entries()) {
      if (violations.length > 0) break
      if (index === lookedAt) since = { passed: passed.length, called: called.length }
      await this.perform(operation, `op-${index}`)
      await this.pass(this.manner.calm ? 1 : chance.pick([0, 1, 20, 300, 2_000, 6_000]))
      if (this.manner.calm) await this.untilAnswered()
    }
    const until = called.length
    await this.rest(undisturbed)
    const view = this.simulation.view
    const report: LifeReport = {
      seed: this.seed,
      hash: this.simulation.hash(),
      violations: [...violations],
      trace: [...trace],
      deployments: view.deployments.length,
      crashes: this.simulation.crashes,
      seconds: this.simulation.time.elapsed / 1000
    }
    return {
      report,
      end: projectionOf(view),
      passed: passed.slice(since.passed),
      called: new Map([...called.entries()].slice(since.called, until))
    }
  }

  private async boot(): Promise<void> {
    const { simulation } = this
    while (simulation.control?.context == null || !simulation.isUp) {
      // A process takes its time to start; the engine's ids rely on it.
      await simulation.pass(100 + simulation.chance.below(3_000))
      await simulation.start()
      await simulation.pass(0)
    }
    // Control looks at every branch when it starts, so whatever was pushed before counts.
    for (const service of serviceNames) this.countHead(service)
    for (const { key, operation } of [...this.unanswered.values()]) {
      const again = this.manner.calm ? !this.manner.hangUp : simulation.chance.happens(0.8)
      if (again) this.send(operation, key)
      else this.unanswered.delete(key)
    }
  }

  private async perform(operation: Operation, key: string): Promise<void> {
    const { simulation } = this
    const { link } = simulation
    if (!simulation.isUp) await this.boot()
    simulation.note(JSON.stringify(operation))
    switch (operation.kind) {
      case "kill":
        simulation.control?.kill("a caller's hands")
        return
      case "restart":
        simulation.control?.stop()
        await simulation.pass(5_000)
        simulation.control?.kill("an orderly end")
        return
      case "cut":
        link.set(false)
        simulation.time.after(1 + simulation.chance.below(20_000), () => link.set(true))
        return
      case "pass":
        return this.pass(operation.millis)
      case "push":
        this.commit(operation.service, filesOf(operation.page))
        for (let hint = 0; hint < operation.hints; hint += 1) this.send(operation, `${key}.${hint}`)
        return
      default:
        this.send(operation, key)
    }
  }

  private commit(service: Named, files: Record<string, string>): void {
    const id = this.kept.facts.repositories.get(service)
    if (id === undefined) return
    this.simulation.worlds.repositories.commit(id, defaultBranch, files)
    this.simulation.ledger.heads.delete(service)
  }

  private headOf(service: Named): string | undefined {
    const id = this.kept.facts.repositories.get(service)
    if (id === undefined) return undefined
    return this.simulation.worlds.repositories.repositories.get(id)?.branches.get(defaultBranch)
  }

  private countHead(service: Named): void {
    const head = this.headOf(service)
    if (head !== undefined) this.simulation.ledger.heads.set(service, head)
  }

  private send(operation: Operation, key: string): void {
    if (operation.kind === "push" || operation.kind === "hint") this.hint(operation.service, key)
    else if ("service" in operation) this.command(operation, key)
  }

  /** What git does after a push; some pushers hang up. */
  private hint(service: Named, key: string): void {
    const { simulation } = this
    const id = this.kept.facts.repositories.get(service)
    const head = this.headOf(service)
    if (id === undefined || head === undefined) return
    this.unanswered.set(key, { operation: { kind: "hint", service }, key })
    const patience = this.manner.calm ? 600_000 : simulation.chance.pick([100, 5_000, 120_000])
    const answered = () => {
      if (!this.unanswered.delete(key)) return
      simulation.note(`${key} is answered`)
      if (this.headOf(service) === head) this.countHead(service)
    }
    const update = { branch: defaultBranch, to: head as never }
    const { owner } = this.kept.facts.principal
    simulation.ask(
      Effect.gen(function* () {
        const access = yield* GitAccess
        const watching = yield* access.pushed(owner, id, [update]).pipe(
          Stream.runForEach((line) =>
            Effect.sync(() => {
              answered()
              simulation.print(line)
            })
          ),
          Effect.forkChild
        )
        yield* Fiber.join(watching).pipe(Effect.timeoutOption(patience))
      }),
      answered
    )
  }

  private command(operation: Extract<Operation, { service: Named }>, key: string): void {
    if (operation.kind === "push" || operation.kind === "hint") return
    const { simulation } = this
    const { ledger } = simulation
    this.unanswered.set(key, { operation, key })
    if (operation.kind === "restore") ledger.restored.add(operation.service)
    simulation.ask(
      command(operation, key).pipe(Effect.provideService(Principal, this.kept.facts.principal)),
      (answer) => {
        if ("error" in answer) {
          simulation.print(String(answer.error) + JSON.stringify(answer.error))
          const code = codeOf(answer.error)
          simulation.note(`${key} is refused: ${code}`)
          // Whoever is told to come back does so.
          if (code !== "unavailable" || !this.manner.calm) this.unanswered.delete(key)
          return
        }
        this.unanswered.delete(key)
        const { number, said } = answer.value
        simulation.note(`${key}: ${said}`)
        if (number === null) return
        const { deployments, stages } = simulation.view
        const stage = stages.find((one) => one.service === operation.service && !one.trashed)?.stage
        if (stage === undefined) return
        const found = deployments.find((one) => one.stage === stage && one.number === number)
        const id = found?.deployment ?? `${operation.service}#${number}`
        ledger.accepted.set(id, stage)
        const known = ledger.keyed.get(key) ?? new Set()
        ledger.keyed.set(key, known.add(id))
      }
    )
  }

  /** Time for control to work, and a look at what it did. */
  private async pass(millis: number): Promise<void> {
    await this.simulation.pass(millis)
    this.simulation.check()
  }

  /** Calm callers wait for their answer and for the end of what it began, and ask again if need be. */
  private async untilAnswered(): Promise<void> {
    const { simulation } = this
    for (let round = 0; round < 60 && simulation.violations.length === 0; round += 1) {
      if (!simulation.isUp) await this.boot()
      await this.pass(500)
      if (!simulation.isUp) continue
      if (this.unanswered.size > 0 && round % 10 === 9) {
        for (const { key, operation } of [...this.unanswered.values()]) this.send(operation, key)
      }
      if (this.unanswered.size === 0 && simulation.look.open() === 0) return
    }
  }

  /** No more faults, one reconcile, and as long as it takes up to half an hour. */
  private async rest(undisturbed: ReadonlyArray<string> | null): Promise<void> {
    const { link, storm, violations } = this.simulation
    storm.end()
    this.simulation.note("rest")
    link.set(true)
    if (!this.simulation.isUp) await this.boot()
    for (let chunk = 0; chunk < 120 && violations.length === 0; chunk += 1) {
      if (!this.simulation.isUp) await this.boot()
      await this.pass(15_000)
      if (chunk >= 3 && this.simulation.look.pending() === 0) break
    }
    link.set(false)
    await this.pass(1_000)
    link.set(true)
    await this.pass(30_000)
    if (violations.length === 0) this.simulation.check("rest", undisturbed)
  }
}
