/** What `deploy` and `demo` share: push a commit, wait for the deployment, say how it went. */
import type { DeploymentView } from "@deploy-mcp/domain/commands/Views"
import { CommandError, refuse } from "@deploy-mcp/domain/Failure"
import { Effect } from "effect"
import * as Calls from "./Calls.ts"
import { Client } from "./Client.ts"
import * as Git from "./Git.ts"
import { failureLines, paint, plain, tell } from "./Output.ts"
import type { Commit } from "./Source.ts"

interface Push {
  readonly directory: string
  readonly commit: Commit
  readonly remote: Git.Remote
  readonly branch: string
  /** Also when the branch holds commits that this one does not follow. */
  readonly force: boolean
}

/** Pushes and passes on what the platform says meanwhile. */
export const push = Effect.fn("push")(function* ({
  directory,
  commit,
  remote,
  branch,
  force
}: Push) {
  // Asked here, because the lines come from a callback that has no command around it.
  const context = yield* Effect.context<Effect.Services<ReturnType<typeof tell>>>()
  const { code, messages } = yield* Git.run(
    ["push", "--no-verify", remote.url, `${force ? "+" : ""}${commit.sha}:refs/heads/${branch}`],
    {
      cwd: directory,
      env: { ...commit.env, ...remote.env },
      onMessage: (line) =>
        line.startsWith("remote:")
          ? Effect.provideContext(tell(paint("dim", `  ${plain(line)}`)), context)
          : Effect.void
    }
  )
  if (code === 0) return
  const behind = messages.some((line) => /non-fast-forward|fetch first|stale info/u.test(line))
  return yield* refuse("push_refused", "The platform did not accept the push.", {
    evidence: messages.slice(-8),
    ...(behind
      ? {
          next: "The branch there has commits that are missing here. Pull them, or deploy with --force."
        }
      : {})
  })
})

/** Waits for the newest deployment of a service to end, telling each new phase. */
export const settle = Effect.fn("settle")(function* (service: {
  readonly name: string
  readonly project: string | undefined
}) {
  const client = yield* Client
  let told = ""
  while (true) {
    const view = yield* client.call(Calls.waitForDeployment, { ...service, timeout_seconds: 1 })
    if (view.finished) return view
    const state = `${view.deployment}: ${view.phase}`
    if (state !== told) yield* tell(paint("dim", `  ${state} …`))
    told = state
  }
})

/** A deployment that is not live is a failure of the command. */
export const mustBeLive = (view: DeploymentView) =>
  view.status === "live"
    ? Effect.succeed(view)
    : Effect.fail(
        view.failure === null
          ? refuse("internal", `${view.deployment} ended as ${view.status}.`, { next: view.next })
          : new CommandError({ failure: view.failure })
      )

export const summary = (view: DeploymentView): ReadonlyArray<string> => [
  `${paint(["green", "bold"], "✓ live")}  ${view.url === null ? plain(view.next) : paint("bold", view.url)}`,
  ...(view.try === null ? [] : [`  try:    ${plain(view.try)}`]),
  `  phases: ${view.phases.map(({ phase, ms }) => `${phase} ${ms} ms`).join(", ")}`,
  ...(view.failure === null ? [] : failureLines(view.failure))
]
