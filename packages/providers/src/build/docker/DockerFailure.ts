/** What BuildKit's complaints mean for the person who pushed. */
import type { BuildError } from "@deploy-mcp/domain/Build"
import { rejected, unavailable } from "../BuildFault.ts"
import type { BuildLog } from "../BuildLog.ts"
import { stepFailure } from "../StepFailure.ts"

export interface Ended {
  /** The step that failed as BuildKit names it, and its complaint. */
  readonly failed: { readonly name: string; readonly error: string } | null
  /** Why buildx gave up. */
  readonly message: string
}

export interface Context {
  /** What the failed step runs and what for; null when it is a Dockerfile's instruction. */
  readonly step: { readonly kind: "install" | "build"; readonly line: string } | null
  /** The tenant's Dockerfile; null: it is ours. */
  readonly dockerfile: string | null
  readonly log: BuildLog
}

export const dockerFailure = (ended: Ended, context: Context): BuildError => {
  const said = shorten(ended.failed?.error ?? ended.message)
  return (
    commandFailure(ended, context) ??
    engineFailure(said) ??
    imageFailure(ended, context) ??
    fileFailure(ended.message, context) ??
    rejected("build_failed", `${whereOf(ended)} failed: ${said}`, {
      evidence: evidenceOf(ended, context)
    })
  )
}

/** A command that was run, in the Dockerfile or in ours. */
const commandFailure = (ended: Ended, { step, log }: Context): BuildError | null => {
  const code = /exit code: (\d+)\s*$/u.exec(ended.failed?.error ?? ended.message)?.[1]
  if (code === undefined) return null
  if (step !== null) return stepFailure(step.kind, shown(step.line), `ended with ${code}`, log)
  return rejected("build_failed", `${whereOf(ended)} ended with ${code}.`, {
    evidence: log.evidence()
  })
}

const engineFailure = (said: string): BuildError | null => {
  if (isAway.test(said)) return unavailable("Docker went away during the build.")
  return /no space left on device/u.test(said) ? unavailable("Docker has no space left.") : null
}

const isAway =
  /Cannot connect to the Docker daemon|error during connect|transport is closing|unexpected EOF|code = Unavailable/u

/** An image that a build starts from, or that reads the Dockerfile for BuildKit. */
const imageFailure = (ended: Ended, context: Context): BuildError | null => {
  const image = /(?:load metadata for|resolve image config for|FROM) (\S+)/u.exec(
    ended.failed?.name ?? ""
  )?.[1]
  if (image === undefined) return null
  const name = image.replace(/^docker\.io\/(?:library\/)?|@sha256:.*$/gu, "")
  const evidence = [shorten(ended.failed?.error ?? "")]
  if (context.dockerfile === null) {
    const cause = `The image '${name}', which builds start from, could not be fetched.`
    return rejected("toolchain_missing", cause, {
      evidence,
      next: `Ask the operator to run docker pull ${name}, or to set another image for this language.`
    })
  }
  return isNetwork.test(ended.failed?.error ?? "")
    ? rejected("build_failed", `The registry of the image '${name}' could not be reached.`, {
        evidence,
        next: "Call redeploy_service to try again; if it stays, tell the operator that the registry is away."
      })
    : rejected("build_failed", `The image '${name}' could not be fetched.`, {
        evidence,
        next: "Correct the image's name in the Dockerfile and push again; one that takes a login has to be set up by the operator."
      })
}

const isNetwork = /dial tcp|i\/o timeout|no such host|TLS handshake|connection (?:refused|reset)/u

/** What is wrong with the Dockerfile itself. */
const fileFailure = (message: string, { dockerfile }: Context): BuildError | null => {
  const secret = /secret (\S+?):? not found/u.exec(message)?.[1]
  if (secret !== undefined) {
    const cause = `The Dockerfile asks for the secret '${secret}', and builds see no variable of this name.`
    return rejected("build_failed", cause, {
      next: `Set the variable ${secret}, visible to builds, and deploy again.`
    })
  }
  const parse = /dockerfile parse error (?:on )?line (\d+): (.*)/u.exec(message)
  if (parse !== null) {
    const [, line = "", wrong = ""] = parse
    const text = dockerfile?.split("\n")[Number(line) - 1]?.trim() ?? ""
    return rejected(
      "manifest_invalid",
      `Dockerfile is not valid (line ${line}): ${shorten(wrong)}.`,
      {
        evidence: [`Dockerfile:${line}: ${text.slice(0, 200)}`]
      }
    )
  }
  const wrong =
    /failed to create LLB definition: (.*)/u.exec(message)?.[1] ??
    /(?:the Dockerfile cannot be empty|entitlement \S+ is not allowed).*/u.exec(message)?.[0]
  return wrong === undefined
    ? null
    : rejected("manifest_invalid", `Dockerfile can not be built: ${shorten(wrong)}.`)
}

const evidenceOf = ({ message }: Ended, { log }: Context): ReadonlyArray<string> => {
  const lines = log.evidence()
  return lines.length > 0 ? lines : [shorten(message)]
}

/** `'COPY a b'` of `[build 2/4] COPY a b`. */
const whereOf = ({ failed }: Ended): string => {
  const instruction = instructionOf(failed?.name ?? "")
  return instruction === null ? "The build" : `'${shown(instruction)}'`
}

/** Null for what BuildKit does beside the instructions. */
export const instructionOf = (name: string): string | null => {
  const found = /^\[(?!internal\])[^\]]+\] (.*)$/su.exec(name)
  return found?.[1] ?? null
}

/** A line as a sentence can carry it. */
export const shown = (line: string): string => (line.length > 120 ? `${line.slice(0, 119)}…` : line)

/** Without what each layer of BuildKit puts in front. */
const shorten = (text: string): string =>
  text
    .replace(/^ERROR: /u, "")
    .replace(/^(?:failed to \w+(?: with frontend \S+)?: |rpc error: code = \w+ desc = )+/u, "")
    .split("\n")
    .join(" ")
    .trim()
    .slice(0, 300)
