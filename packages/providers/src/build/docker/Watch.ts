/** Passes on what BuildKit tells, and remembers what it takes to say how a build ended. */
import type { BuildError, BuildRequest } from "@deploy-mcp/domain/Build"
import { Duration, Effect, Queue, Stream } from "effect"
import { rejected } from "../BuildFault.ts"
import type { BuildLog } from "../BuildLog.ts"
import { dockerFailure, instructionOf, shown } from "./DockerFailure.ts"
import { commandOf } from "./Dockerfile.ts"
import type { Progress } from "./Progress.ts"

export interface Watched {
  readonly request: BuildRequest
  readonly log: BuildLog
  readonly stepTimeout: Duration.Duration
  /** The tenant's; null: it was made here, and its commands are shown as the tenant's own lines. */
  readonly dockerfile: string | null
}

export interface Watch {
  readonly tell: (progress: Progress) => void
  /** Fails when a step takes too long; each has its own time. */
  readonly tooLong: Effect.Effect<never, BuildError>
  /** Why the build failed, once it has. */
  readonly failure: Effect.Effect<never, BuildError>
}

export const watchBuild = Effect.fnUntraced(function* (watched: Watched): Effect.fn.Return<Watch> {
  const { request, log, stepTimeout, dockerfile } = watched
  const { plan } = request
  const steps = yield* Queue.unbounded<string>()
  const said: Array<string> = []
  let failed: { readonly name: string; readonly error: string } | null = null

  const lineOf = (name: string) => {
    const instruction = instructionOf(name)
    if (instruction === null) return null
    return dockerfile === null ? commandOf(instruction) : instruction
  }
  const tell = (progress: Progress) => {
    switch (progress.type) {
      case "output":
        return log.write(progress.stream, progress.text)
      case "said":
        return void said.push(progress.text)
      case "failed":
        failed ??= progress
        return
      case "started": {
        const line = lineOf(progress.name)
        if (line === null) return
        Queue.offerUnsafe(steps, line)
        log.say(sayingOf(line, progress))
      }
    }
  }
  const sayingOf = (line: string, { name, cached }: { name: string; cached: boolean }) => {
    if (dockerfile !== null) return cached ? `${name} (unchanged)` : name
    if (!cached) return `$ ${line}`
    return line === plan.install
      ? "Dependencies are unchanged: using the installed ones"
      : `$ ${line} (unchanged)`
  }
  const tooLong = Stream.make("docker build").pipe(
    Stream.concat(Stream.fromQueue(steps)),
    Stream.switchMap((line) =>
      Stream.fromEffect(
        Effect.suspend(() => {
          const limit = Duration.format(stepTimeout)
          return rejected("build_timed_out", `'${shown(line)}' did not end within ${limit}.`, {
            evidence: log.evidence()
          })
        }).pipe(Effect.delay(stepTimeout))
      )
    ),
    Stream.runDrain,
    Effect.andThen(Effect.never)
  )
  const failure = Effect.suspend(() => {
    const line = lineOf(failed?.name ?? "")
    const kind = line === plan.install ? "install" : "build"
    const step = dockerfile !== null || line === null ? null : ({ kind, line } as const)
    const message = said.findLast((text) => text.startsWith("ERROR: ")) ?? said.at(-1) ?? ""
    return dockerFailure({ failed, message }, { step, dockerfile, log })
  })
  return { tell, tooLong, failure }
})
