import { Replay, type ReplayStep } from "@deploy-mcp/domain/commands/Replay"
import { refuse } from "@deploy-mcp/domain/Failure"
import { Effect, FileSystem, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Calls from "./Calls.ts"
import { Client } from "./Client.ts"
import { finish, paint, plain, table } from "./Output.ts"

export const replay = Command.make(
  "replay",
  {
    deployment: Argument.String("deployment").pipe(
      Argument.withDescription("As answers show it, e.g. my-saas#3, or a service for its newest"),
      Argument.optional
    ),
    project: Flag.String("project").pipe(
      Flag.withDescription("Project of the service"),
      Flag.optional
    ),
    export: Flag.String("export").pipe(
      Flag.withDescription("Write it to this new file, which holds no secret, instead"),
      Flag.optional
    ),
    file: Flag.String("file").pipe(
      Flag.withDescription("Read such a file; no platform is needed"),
      Flag.optional
    )
  },
  Effect.fn(function* (given) {
    const file = Option.getOrUndefined(given.file)
    const deployment = Option.getOrUndefined(given.deployment)
    if ((file === undefined) === (deployment === undefined)) {
      return yield* refuse("invalid_argument", "Either a deployment or --file says what to show.", {
        next: "Name a deployment, e.g. deploy-mcp replay my-saas#3, or a file that --export has written."
      })
    }
    const shown =
      file === undefined
        ? yield* asked(deployment ?? "", Option.getOrUndefined(given.project))
        : yield* read(file)
    if (Option.isNone(given.export)) return yield* finish(shown, linesOf(shown))
    const target = given.export.value
    yield* write(target, shown)
    yield* finish({ file: target, deployment: shown.deployment }, [
      `${shown.deployment} is in ${target}. Read it anywhere with deploy-mcp replay --file ${target}`
    ])
  })
).pipe(
  Command.withDescription(
    "Show what a deployment did, step by step: times, results by name, what was tried again and why. As one file it can be read on another machine"
  ),
  Command.withShortDescription("Show what a deployment did, step by step"),
  Command.withExamples([
    { command: "deploy-mcp replay my-saas#3", description: "The steps of one deployment" },
    {
      command: "deploy-mcp replay my-saas --export my-saas.json",
      description: "The newest one as a file, e.g. for a report"
    },
    { command: "deploy-mcp replay --file my-saas.json", description: "Read it somewhere else" }
  ])
)

const asked = Effect.fnUntraced(function* (deployment: string, project: string | undefined) {
  const client = yield* Client
  const [name = "", number] = deployment.split("#")
  return yield* client.call(Calls.replayDeployment, {
    name,
    project,
    deployment: number === undefined ? undefined : deployment
  })
})

const Document = Schema.fromJsonString(Replay)

const read = Effect.fnUntraced(function* (file: string) {
  const text = yield* FileSystem.FileSystem.use((files) => files.readFileString(file)).pipe(
    Effect.mapError(() =>
      refuse("invalid_argument", `The file ${file} can't be read.`, {
        next: "Name a file that deploy-mcp replay <deployment> --export has written."
      })
    )
  )
  return yield* Schema.decodeEffect(Document)(text).pipe(
    Effect.mapError(() =>
      refuse("invalid_argument", `${file} holds no deployment that this version can read.`, {
        next: "Name a file that deploy-mcp replay <deployment> --export of the same version has written."
      })
    )
  )
})

/** Never over a file that is there. */
const write = Effect.fnUntraced(function* (file: string, shown: Replay) {
  yield* FileSystem.FileSystem.use((files) =>
    files.writeFileString(file, `${JSON.stringify(shown, null, 2)}\n`, { flag: "wx", mode: 0o600 })
  ).pipe(
    Effect.mapError((error) =>
      refuse(
        "invalid_argument",
        error.reason._tag === "AlreadyExists"
          ? `The file ${file} exists already.`
          : `The file ${file} can't be written.`,
        { next: "Name a new file in a folder that exists." }
      )
    )
  )
})

/** What happened, in the order of its times. */
const linesOf = (shown: Replay): ReadonlyArray<string> => {
  const { created_at, finished_at, failure, phases, retries, status, steps } = shown
  const happened: ReadonlyArray<readonly [time: string, what: string, took: string, more: string]> =
    [
      [created_at, "accepted", "", `${shown.cause}, commit ${shown.commit}`],
      ...(steps.length > 0
        ? steps.map(
            (step) => [step.started_at, step.name, duration(step.ms), detail(step)] as const
          )
        : phases.map(
            ({ phase, started_at, ended_at }) =>
              [
                started_at,
                phase,
                ended_at === null ? "" : between(started_at, ended_at),
                ""
              ] as const
          )),
      ...retries.map(({ at, phase, cause }) => [at, "again", "", `${phase}: ${cause}`] as const),
      ...(finished_at === null
        ? []
        : [[finished_at, status, between(created_at, finished_at), endOf(shown)] as const])
    ]
  const rows = happened
    .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([time, what, took, more]) => [time.slice(11, 23), what, took, more].map(plain))
  return [
    paint("bold", `${plain(shown.deployment)}  ${status}, ${created_at.slice(0, 10)}`),
    ...(steps.length === 0 && finished_at !== null
      ? ["The journal of its steps is not kept any more; these are its phases."]
      : []),
    ...table(rows),
    ...(failure === null ? [] : [`${paint("bold", "next:")} ${plain(failure.next)}`])
  ]
}

const endOf = ({ failure, release }: Replay): string =>
  failure === null
    ? release === null
      ? ""
      : `release ${release}`
    : `${failure.code}: ${failure.cause}`

const detail = ({ outcome, result, failure }: ReplayStep): string => {
  if (failure !== null) return `${failure.code}: ${failure.cause}`
  return outcome === "done" ? (result ?? "") : outcome
}

const between = (from: string, to: string): string => duration(Date.parse(to) - Date.parse(from))

const duration = (ms: number | null): string => (ms === null ? "" : `${ms} ms`)
