/**
 * What the platform keeps of its past stops growing. `MONTH=1` takes a hundred deployments a day, which are
 * kept for thirty days, and prints what is in docs/retention.md; without it there are fewer of both.
 */
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { defaultBranch } from "@deploy-mcp/domain/model/Names"
import { Principal } from "@deploy-mcp/domain/model/Principal"
import { Effect } from "effect"
import { assert, it } from "vitest"
import { codeOf, command, filesOf, type Operation, serviceNames } from "./Operations.ts"
import { Simulation } from "./Simulation.ts"
import { furnish, type Template } from "./Template.ts"

const day = 24 * 60 * 60_000
const whole = process.env.MONTH !== undefined
const [keptDays, aDay] = whole ? [30, 100] : [2, 12]
/** Also what docs/retention.md states. */
const perDeployment = 16 * 1024

const [service] = serviceNames

it("a month of deployments takes what is stated, and the next days take no more", async () => {
  const simulation = await Simulation.make({
    seed: "month",
    template: null,
    invariants: [],
    pace: { reread: day / 24, keptHistory: keptDays * day, pruneEvery: day / 24 }
  })
  try {
    await simulation.start()
    const { principal, repositories } = await answered<Template>(simulation, (done) =>
      simulation.ask(furnish, done)
    )
    const repository = repositories.get(service)
    assert(repository !== undefined)
    simulation.worlds.repositories.commit(repository, defaultBranch, filesOf(0))
    const perform = (operation: Parameters<typeof command>[0], key: string) =>
      answered(simulation, (done) =>
        simulation.ask(
          command(operation, key).pipe(Effect.provideService(Principal, principal)),
          done
        )
      )
    await perform({ kind: "create", service }, "create")

    const empty = used(simulation)
    const sizes: Array<number> = []
    for (let today = 0; today < keptDays + 3; today += 1) {
      for (let number = 0; number < aDay; number += 1) {
        await perform(changed(`${today}.${number}`), `${today}.${number}`)
        await simulation.pass(day / aDay)
      }
      sizes.push(used(simulation))
    }
    const [kept] = simulation.look.rows<{ n: number }>("SELECT COUNT(*) AS n FROM deployments")
    const deployments = kept?.n ?? 0
    if (whole) console.log({ deployments, sizes, file: bytes(simulation, "page_count") })

    // Each answer takes a moment, so that the last days have one less.
    assert.isAtLeast(deployments, keptDays * aDay - 1)
    assert.isAtMost(deployments, keptDays * aDay + 10)
    const full = sizes[keptDays] ?? 0
    for (const size of sizes.slice(keptDays)) assert.approximately(size, full, full * 0.03)
    assert.isAtMost((full - empty) / deployments, perDeployment)
    assert.isAtMost(bytes(simulation, "freelist_count"), 3 * 1024 ** 2)
    assert.isAtMost(readdirSync(join(simulation.home, "artifacts")).length, 2 * 7)
    assert.isAtMost(simulation.worlds.logbook.size, deployments)
  } finally {
    simulation.close()
  }
}, 3_600_000)

const changed = (value: string): Extract<Operation, { kind: "update" }> => ({
  kind: "update",
  service,
  change: { variable: "MODE", value }
})

type Answer<A> = { readonly value: A } | { readonly error: unknown }

/** Until control has answered, which takes no time worth mentioning. */
const answered = async <A>(
  simulation: Simulation,
  ask: (done: (answer: Answer<A>) => void) => void
): Promise<A> => {
  const answers: Array<Answer<A>> = []
  ask((answer) => answers.push(answer))
  for (let waited = 0; answers.length === 0 && waited < 100; waited += 1) {
    await simulation.pass(100)
  }
  const [answer] = answers
  if (answer === undefined) throw new Error("there was no answer")
  if ("error" in answer) throw new Error(codeOf(answer.error))
  return answer.value
}

const bytes = (simulation: Simulation, pages: "page_count" | "freelist_count") =>
  (simulation.look.rows<Record<string, number>>(`PRAGMA ${pages}`)[0]?.[pages] ?? 0) * 4096

const used = (simulation: Simulation) =>
  bytes(simulation, "page_count") - bytes(simulation, "freelist_count")
