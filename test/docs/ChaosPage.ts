/** What tries to break the platform and what came of it: docs/chaos.md, from docs/chaos.json and the invariants. */
import { invariants } from "@deploy-mcp/domain/chaos/Invariants"
import elsewhere from "../chaos/elsewhere.json" with { type: "json" }
import { planted } from "../chaos/Mutants.ts"
import type { ChaosReport, Finding, RealRun } from "../chaos/Report.ts"
import regressions from "../chaos/regressions.json" with { type: "json" }

export const renderChaos = (found: ChaosReport): string =>
  [
    "# What must hold, and what tries to break it",
    "",
    "The same list of invariants is asked after each simulated step, once all is quiet, and of real processes. Three",
    "harnesses put faults under it: simulated lives from seeds (errors before and after an effect, hangs, partial",
    "effects, repeats and crashes at every call to a provider and every commit), the end of control at every boundary",
    "of every workflow's journal, and `kill -9` of real processes under real pushes. Bugs planted on purpose show that",
    "the invariants notice.",
    "",
    "Generated from `docs/chaos.json`, which `npm run chaos` keeps with `--report`, and from the invariants themselves:",
    "`npm run docs`.",
    "",
    "## Invariants",
    "",
    ...table(
      ["name", "asked", "what holds"],
      invariants.map(({ id, sentence, when }) => [
        `\`${id}\``,
        when === "always" ? "always" : "at rest",
        sentence
      ])
    ),
    ...others(),
    ...simulated(found),
    ...points(found),
    ...calls(found),
    ...real(found),
    ...mutants(found),
    ""
  ].join("\n")

/** Names that are not there any more end in an error. */
const others = () => {
  const known = new Set(invariants.map(({ id }) => id))
  const bugs = new Map(planted().map(({ bug, name }) => [name, bug]))
  const named = <A>(value: A | undefined, name: string): A => {
    if (value === undefined) throw new Error(`elsewhere.json names ${name}, which is not there`)
    return value
  }
  return [
    "",
    "## How others were broken",
    "",
    "What has happened to platforms, workflow engines and databases, and what asks for it here: the invariant that it",
    "would break, the run whose faults lead there, and the bug of the same kind that was planted.",
    "",
    ...table(
      ["there", "what broke", "invariants", "run", "planted here"],
      elsewhere.map(({ broke, invariants, mutants, run, system, url }) => [
        system,
        `[${broke}](${url})`,
        invariants.map((id) => `\`${named(known.has(id) ? id : undefined, id)}\``).join(" "),
        `\`${run}\``,
        mutants.map((name) => named(bugs.get(name), name)).join("<br>") || "-"
      ])
    )
  ]
}

const simulated = ({ lives, repeats }: ChaosReport) =>
  lives === undefined
    ? []
    : [
        "",
        "## Simulated lives",
        "",
        "`npm run chaos -- --seeds N --report`. Equal seeds tell equal stories.",
        "",
        ...table(
          ["seeds", "deployments", "ends of control", "seeds that broke", "deployments/s and core"],
          [
            [
              lives.seeds,
              lives.deployments,
              lives.crashes,
              lives.broken,
              lives.deploymentsPerSecondAndCore
            ]
          ]
        ),
        ...(repeats === undefined
          ? []
          : [
              "",
              `\`--seeds ${repeats.seeds} --times ${repeats.times} --report\`: ${repeats.seeds} seeds were lived ${repeats.times} times each, and`,
              `${repeats.unequal} lives told another story than the first one of their seed.`
            ]),
        "",
        "Seeds that once broke an invariant hold it now and are lived in `npm test` ever since",
        "(`test/chaos/regressions.json`):",
        "",
        ...table(["seed", "what it found"], Object.entries(regressions))
      ]

const points = ({ crashPoints }: ChaosReport) =>
  crashPoints === undefined
    ? []
    : [
        "",
        "## Every boundary of the journal",
        "",
        "`npm run chaos -- --crash-points --report`. Before a step's effect, after it and before the journal, after the",
        "journal: control ends there and comes back. The boundaries are read from the journal of a run without a fault.",
        "Second crashes are at every boundary that a life with the first one still comes to, which its own journal tells.",
        "",
        ...table(
          ["scenario", "crashes in a life", "lives", "came to all of them", "violations"],
          crashPoints.map(({ crashed, crashes, points, scenario, violations }) => [
            scenario,
            crashes,
            points,
            crashed,
            violations
          ])
        )
      ]

const calls = ({ calls }: ChaosReport) =>
  calls === undefined
    ? []
    : [
        "",
        "## Every call",
        "",
        "`npm run chaos -- --calls --report`. One call to a provider fails (before its effect, after it, in part, twice)",
        "or one call or commit is the last thing that control does; or another caller cancels, pushes or deletes there.",
        "",
        ...table(
          ["scenario", "lives", "violations"],
          calls.map(({ lives, scenario, violations }) => [scenario, lives, violations])
        )
      ]

const real = ({ away, kills, takeovers }: ChaosReport) => {
  const row = (run: string, what: string, { failed, requests }: RealRun) => [
    [`\`${run}\``, what, requests, failed]
  ]
  const rows = [
    ...(kills === undefined
      ? []
      : row(`--kills ${kills.kills}`, "control is killed under pushes and redeploys", kills)),
    ...(takeovers === undefined
      ? []
      : row(`--takeovers ${takeovers.trials}`, inWords(takeovers), takeovers)),
    ...(away === undefined
      ? []
      : row(`--away ${away.seconds}`, "no control for so many seconds", away))
  ]
  return rows.length === 0
    ? []
    : [
        "",
        "## Real processes",
        "",
        "`npm run chaos -- …`. Visitors ask every live URL again and again throughout, up to a hundred times a second.",
        "",
        ...table(["run", "what happens", "requests", "not answered well"], rows)
      ]
}

const inWords = ({
  frozen,
  killed,
  slowestMs,
  takeoverSeconds
}: NonNullable<ChaosReport["takeovers"]>) =>
  `of two on one Postgres the acting one is killed (${killed} times) or frozen (${frozen}); \`DEPLOY_MCP_TAKEOVER=${takeoverSeconds}\`, the slowest took ${slowestMs} ms`

const mutants = ({ mutants }: ChaosReport) => {
  if (mutants === undefined) return []
  const { generated, patience, planted } = mutants
  return [
    "",
    "## Planted bugs",
    "",
    `\`npm run chaos -- --mutants --report\`. Each lives through every call of the scenarios and then through ${patience}`,
    "seeds, until an invariant notices it.",
    "",
    `Somebody planted (\`test/chaos/mutants\`) ${summary(planted)}:`,
    "",
    ...findings(planted),
    "",
    `Chance made, by leaving out, repeating or swapping a statement of a workflow, ${summary(generated)}.`,
    "One that survives may be no bug: a step that is done twice is meant to be harmless.",
    "",
    ...findings(generated)
  ]
}

const summary = (all: ReadonlyArray<Finding>) =>
  `${all.length}, of which ${all.filter(({ where }) => where !== null).length} were noticed`

const findings = (all: ReadonlyArray<Finding>) =>
  table(
    ["bug", "noticed by", "first in"],
    all.map(({ bug, invariants, where }) => [
      bug.replaceAll("|", "\\|"),
      invariants.map((id) => `\`${id}\``).join(" ") || "none",
      where ?? "-"
    ])
  )

const table = (
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string | number>>
): ReadonlyArray<string> => [
  `| ${head.join(" | ")} |`,
  `|${head.map(() => "---").join("|")}|`,
  ...rows.map((row) => `| ${row.join(" | ")} |`)
]
