/**
 * The Dockerfile for a detected plan. Commands are in the form that no character of them can leave;
 * what they may see comes from a file that is there for the step alone and in no layer.
 */
import type { BuildPlan } from "@deploy-mcp/domain/model/Artifact"

/** What images are made from, e.g. `node:26-slim`. */
export interface BaseImages {
  readonly node: string
  readonly python: string
  readonly go: string
  /** What Go programs run on, which have all they need but a shell and certificates. */
  readonly goRun: string
}

export interface Recipe {
  readonly plan: BuildPlan
  readonly images: BaseImages
  /** Whether `install/` holds all that the install command depends on, beside `source/`. */
  readonly apart: boolean
  /** Id of what packages are cached in. */
  readonly cache: string
  /** Ids of the secrets with a step's settings; another id is another step. */
  readonly install: string
  readonly build: string
  /** Whether there is a secret of the name `ca` with certificates to trust. */
  readonly ca: boolean
}

/** Where a step finds things. */
export const places = {
  home: "/root",
  cache: "/var/cache/build",
  settings: "/run/secrets/settings",
  ca: "/run/secrets/ca"
}

export const dockerfile = (recipe: Recipe): string => {
  const { plan, images, apart } = recipe
  const isGo = plan.kind === "go"
  const base = isGo ? images.go : plan.kind === "python" ? images.python : images.node
  const install = plan.install === undefined ? [] : [run(recipe, recipe.install, plan.install)]
  const lines = [
    `FROM ${base}${isGo || plan.kind === "static" ? " AS build" : ""}`,
    "USER 0",
    "WORKDIR /app",
    ...(apart ? ["COPY install/ ./", ...install] : []),
    "COPY source/ ./",
    ...(apart ? [] : install),
    ...(plan.build === undefined ? [] : [run(recipe, recipe.build, plan.build)]),
    ...ending(recipe)
  ]
  return `${lines.join("\n")}\n`
}

/** The tenant's command line of a RUN instruction as it is written here; null for any other. */
export const commandOf = (instruction: string): string | null => {
  const at = instruction.indexOf(`["/bin/sh","-c",`)
  if (!instruction.startsWith("RUN ") || at < 0) return null
  const words: unknown = JSON.parse(instruction.slice(at))
  const line: unknown = Array.isArray(words) ? words[2] : undefined
  return typeof line === "string" && line.startsWith(before) ? line.slice(before.length) : null
}

const before = `. ${places.settings} && `

const run = ({ cache, ca }: Recipe, settings: string, line: string): string =>
  [
    "RUN",
    `--mount=type=tmpfs,target=${places.home}`,
    `--mount=type=cache,id=${cache},target=${places.cache}`,
    `--mount=type=secret,id=${settings},target=${places.settings}`,
    ...(ca ? [`--mount=type=secret,id=ca,target=${places.ca}`] : []),
    shell(before + line)
  ].join(" ")

const shell = (line: string): string => JSON.stringify(["/bin/sh", "-c", line])

const ending = ({ plan, images }: Recipe): ReadonlyArray<string> => {
  if (plan.kind === "static") {
    return [
      `RUN ${JSON.stringify(["rm", "-rf", "node_modules"])}`,
      "FROM scratch",
      "COPY --from=build /app/ /"
    ]
  }
  const second = [`FROM ${images.goRun}`, "WORKDIR /app", "COPY --from=build /app/ ./"]
  return [
    ...(plan.kind === "go" ? second : []),
    "ENV HOME=/tmp",
    "USER 65534:65534",
    "ENTRYPOINT []",
    `CMD ${shell(plan.start ?? "")}`
  ]
}
