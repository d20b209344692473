/** Which programs a service runs, from its settings and its Procfile, and which of them has a port. */
import type { BuildError } from "@deploy-mcp/domain/Build"
import type { ServiceSettings } from "@deploy-mcp/domain/model/Service"
import { Effect } from "effect"
import { rejected } from "../BuildFault.ts"
import { type Commands, type Procfile, processNotes } from "./Procfile.ts"

export interface Programs {
  /** Absent: what is detected. */
  readonly start: string | undefined
  /** Processes beside it. */
  readonly workers: Commands
  /** False: none of them has a port. */
  readonly listens: boolean
  readonly notes: (isSite: boolean) => ReadonlyArray<string>
}

type Settings = Pick<ServiceSettings, "schedule" | "start_command" | "type">

export const programsOf = (
  settings: Settings,
  procfile: Procfile | null
): Effect.Effect<Programs, BuildError> => {
  if (settings.schedule !== undefined) return oneRun(settings, procfile)
  if (settings.type === "worker") return Effect.succeed(workersAlone(settings, procfile))
  const start = settings.start_command ?? procfile?.web
  return Effect.succeed({
    start,
    workers: procfile?.workers ?? {},
    listens: true,
    notes: (isSite) => (procfile === null ? [] : processNotes(procfile, start, isSite))
  })
}

/** start_command stands for the process `worker`; without both the first line of the Procfile is it. */
export const workersAlone = ({ start_command }: Settings, procfile: Procfile | null): Programs => {
  const { worker, ...others } = procfile?.workers ?? {}
  const [first] = Object.entries(others)
  const given = start_command ?? worker
  const isFirst = given === undefined && first !== undefined
  const { [isFirst ? first[0] : ""]: _, ...workers } = others
  const start = given ?? first?.[1] ?? procfile?.web
  const beside = Object.entries(workers).map(([name, line]) => `Process ${name}: ${line}`)
  const left = procfile?.web !== undefined && start !== procfile.web
  return {
    start,
    workers,
    listens: false,
    notes: () => [
      ...(procfile?.notes ?? []),
      `This is a worker, which has no port${start === undefined ? "." : `: ${start}`}`,
      ...beside,
      ...(left ? ["Not run, because the service has no port: web."] : [])
    ]
  }
}

/** A run is one program. */
const oneRun = (
  { start_command }: Settings,
  procfile: Procfile | null
): Effect.Effect<Programs, BuildError> => {
  const lines = Object.entries(procfile?.workers ?? {})
  const [only] = lines
  if (start_command === undefined && (lines.length > 1 || (!only && procfile?.web !== undefined))) {
    const names = [...(procfile?.web === undefined ? [] : ["web"]), ...lines.map(([name]) => name)]
    const cause = `The service has a schedule, and the Procfile does not say which program a run is: it has ${names.join(", ")}.`
    return rejected("no_start_command", cause, {
      next: "Set start_command to what a run executes, e.g. node report.js."
    })
  }
  const start = start_command ?? only?.[1]
  const note = `Each run on the schedule${start === undefined ? " starts what is found here." : `: ${start}`}`
  return Effect.succeed({
    start,
    workers: {},
    listens: false,
    notes: () => [...(procfile?.notes ?? []), note]
  })
}

/** A plan that is not of the type that was asked for is refused before anything is built. */
export const ofType = (
  { type }: Settings,
  isSite: boolean,
  listens: boolean
): Effect.Effect<void, BuildError> => {
  if (type === "webapp_static" && !isSite) {
    return rejected("type_mismatch", "The type is webapp_static, and this is a program.", {
      next: "Leave type out to run it, or set build_pack to static to serve its files instead."
    })
  }
  if (isSite && (!listens || type === "webapp" || type === "backend")) {
    const asked = listens ? `type is ${type}` : "service is one without a port"
    return rejected("type_mismatch", `The ${asked}, and this is a site of files.`, {
      next: "Set start_command to the program that is to run, or leave type and schedule out to serve the files."
    })
  }
  return Effect.void
}
