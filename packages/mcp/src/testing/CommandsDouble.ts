/** The command services in memory, small and honest, for tests of the doors. */
import { Accounts } from "@deploy-mcp/domain/commands/Accounts"
import { Deployments } from "@deploy-mcp/domain/commands/Deployments"
import { planned } from "@deploy-mcp/domain/commands/Plan"
import { Repositories } from "@deploy-mcp/domain/commands/Repositories"
import { type CreateService, Services } from "@deploy-mcp/domain/commands/Services"
import type { DeploymentView, ServiceView } from "@deploy-mcp/domain/commands/Views"
import { Failure, refuse } from "@deploy-mcp/domain/Failure"
import { KeyId, OwnerId, UserId } from "@deploy-mcp/domain/model/Ids"
import { finder } from "@deploy-mcp/domain/model/LogLine"
import { CommitSha, OwnerName, ServiceName } from "@deploy-mcp/domain/model/Names"
import {
  allScopes,
  Principal,
  type PrincipalData,
  type Scope
} from "@deploy-mcp/domain/model/Principal"
import { Effect, Layer, Redacted, Stream } from "effect"

export const principal = (
  key: string,
  scopes: ReadonlyArray<Scope> = allScopes
): PrincipalData => ({
  owner: OwnerId.make(`own_${"0".repeat(20)}`),
  ownerName: OwnerName.make("awake-dassie"),
  user: UserId.make(`usr_${"0".repeat(20)}`),
  key: KeyId.make(`key_${key.padEnd(20, "0")}`),
  scopes,
  project: null
})

/** Keys that the double knows, by secret. */
export const keys = {
  dk_live_owner: principal("owner"),
  dk_live_other: principal("other"),
  dk_live_reader: principal("reader", ["services:read"])
} as const satisfies Record<string, PrincipalData>

export const deploymentView = (service: string, number: number): DeploymentView => ({
  deployment: `${service}#${number}`,
  service: ServiceName.make(service),
  project: "default",
  number,
  status: "live",
  phase: "route",
  cause: "push",
  commit: "a".repeat(40),
  created_at: "2026-01-01T00:00:00.000Z",
  finished_at: "2026-01-01T00:00:01.000Z",
  phases: [{ phase: "build", ms: 400 }],
  url: `http://${service}.localhost:8080`,
  try: `curl -H 'Host: ${service}.localhost' http://127.0.0.1:8080`,
  failure: null,
  next: "Nothing to do: it is live."
})

const serviceView = (name: string): ServiceView => ({
  name: ServiceName.make(name),
  project: "default",
  status: "live",
  type: "webapp",
  mode: "persistent",
  url: `http://${name}.localhost:8080`,
  try: `curl -H 'Host: ${name}.localhost' http://127.0.0.1:8080`,
  repo: `internal/awake-dassie/${name}`,
  branch: "main",
  live_commit: "a".repeat(40),
  latest_deployment: deploymentView(name, 1),
  next: "Call wait_for_deployment."
})

/** What was asked for and what happened to it. */
export interface Seen {
  readonly created: Array<CreateService>
  readonly removed: Array<string>
  readonly waiting: Array<string>
  readonly interrupted: Array<string>
}
export const nothingSeen = (): Seen => ({ created: [], removed: [], waiting: [], interrupted: [] })

/**
 * Services: `web` exists; `slow` waits for ever and prints nothing; `broken` dies of a bug; `chatty` prints very much;
 * `many` has 200 deployments; anything else is not found.
 */
export const layer = (seen: Seen = nothingSeen()) =>
  Layer.mergeAll(accounts, repositories, services(seen), deployments(seen))

const known = (name: string) =>
  ["web", "slow", "chatty", "many"].includes(name)
    ? Effect.void
    : name === "broken"
      ? Effect.die(new Error("the secret inside of a bug"))
      : Effect.fail(refuse("not_found", `There is no service '${name}'.`))

const accounts = Layer.mock(Accounts, {
  authenticate: (key) => {
    const found = new Map<string, PrincipalData>(Object.entries(keys)).get(Redacted.value(key))
    return found
      ? Effect.succeed(found)
      : Effect.fail(refuse("unauthorized", "The key is unknown, expired or revoked."))
  },
  whoami: Effect.map(Principal, ({ ownerName, scopes }) => ({
    owner: ownerName,
    key: {
      name: "first",
      prefix: "dk_live_abcd",
      scopes,
      project: null,
      expires_at: null,
      last_used_at: null,
      revoked: false
    },
    projects: ["default"],
    git_host: "internal",
    services: 1,
    platform: ["Services run in bubblewrap."],
    next: "Call list_services."
  })),
  listKeys: Effect.succeed([]),
  listProjects: Effect.succeed([{ name: "default", services: 1 }]),
  ensureProject: ({ name }) =>
    Effect.as(planned(`creates the project '${name}'`), { name, created: true })
})

const repositories = Layer.mock(Repositories, {
  list: Effect.succeed([
    {
      repo: "internal/awake-dassie/web",
      name: "web",
      description: "",
      clone_url: "http://127.0.0.1:8081/git/awake-dassie/web.git",
      services: ["default/web"]
    }
  ]),
  remove: ({ name }) => Effect.succeed({ removed: true, name, next: "It is gone." }),
  create: ({ name }) =>
    Effect.succeed({
      repo: `internal/awake-dassie/${name}`,
      name,
      description: "",
      clone_url: `http://127.0.0.1:8081/git/awake-dassie/${name}.git`,
      created: true,
      next: "Call get_git_token."
    }),
  token: ({ name, access }) =>
    Effect.succeed({
      repo: name,
      token: "mlg_secret",
      username: "git",
      access,
      expires_at: "2026-01-01T01:00:00.000Z",
      push_url: "http://git:mlg_secret@127.0.0.1:8081/git/awake-dassie/web.git",
      commands: ["git push … HEAD:main"],
      next: "Run the commands."
    })
})

const line = (seq: number, text: string) =>
  ({ seq, at: 1_767_225_600_000 + seq, stream: "stdout", text }) as const

const services = (seen: Seen) =>
  Layer.mock(Services, {
    create: (input) => {
      seen.created.push(input)
      return input.name === "taken"
        ? Effect.fail(
            refuse("name_taken", "Another service has this name.", {
              current: { name: "taken", branch: "main" }
            })
          )
        : Effect.succeed({ service: serviceView(input.name), created: true })
    },
    list: ({ after, limit }) => {
      const views = ["api", "web"].filter((name) => name > (after?.name ?? "")).map(serviceView)
      const page = views.slice(0, limit)
      return Effect.succeed({ services: page, total: 2, more: views.length > limit })
    },
    describe: ({ name }) =>
      Effect.as(known(name), {
        ...serviceView(name),
        schedule: null,
        settings: { build_pack: "auto", memory: 256, cpu: 1 } as const,
        limits: {
          memory_mb: 256,
          cpu: 1,
          enforced: { memory: false, cpu: false },
          note: "Not enforced on this machine."
        },
        env: [{ name: "API_KEY", fingerprint: "ab12", value: "••••••", runtime_only: false }],
        revision: 1,
        deploy_log: [],
        runtime_log: []
      }),
    deployFiles: ({ name }) =>
      Effect.succeed({
        service: serviceView(name),
        created: true,
        commit: CommitSha.make("a".repeat(40))
      }),
    trash: () => Effect.succeed([]),
    update: ({ name }) =>
      Effect.as(known(name), {
        service: serviceView(name),
        revision: 2,
        changed: ["memory: 256 → 512"],
        rebuild: false
      }),
    rollback: ({ name }) => Effect.as(known(name), deploymentView(name, 2)),
    restore: ({ name }) => Effect.succeed({ restored: true, service: serviceView(name) }),
    redeploy: ({ name }) => Effect.as(known(name), deploymentView(name, 2)),
    remove: ({ name }) =>
      Effect.map(planned(`moves '${name}' to the trash`), () => {
        seen.removed.push(name)
        return { removed: true, name, next: "It is in the trash." }
      }),
    logs: ({ name, tail, ...search }) =>
      Effect.as(known(name), {
        lines: Array.from({ length: name === "chatty" ? tail : 2 }, (_, index) =>
          line(index, name === "chatty" ? "x".repeat(1000) : `line ${index}`)
        ).filter(finder(search)),
        last: 1,
        truncated: false
      }),
    follow: ({ name, ...search }) =>
      Stream.concat(
        Stream.fromIterable(name === "slow" ? [] : [line(0, "line 0"), line(1, "line 1")]).pipe(
          Stream.filter(finder(search))
        ),
        Stream.never.pipe(
          Stream.onStart(Effect.sync(() => void seen.waiting.push(name))),
          Stream.ensuring(Effect.sync(() => void seen.interrupted.push(name)))
        )
      )
  })

const deployments = (seen: Seen) =>
  Layer.mock(Deployments, {
    cancel: ({ name }) =>
      Effect.as(known(name), { ...deploymentView(name, 1), status: "cancelled" as const }),
    list: ({ name, limit, before }) =>
      Effect.map(known(name), () =>
        Array.from({ length: name === "many" ? 200 : 1 }, (_, index) => 200 - index)
          .filter((number) => before === undefined || number < before)
          .slice(0, limit)
          .map((number) => ({
            ...deploymentView(name, number),
            next: "Nothing to do. ".repeat(20)
          }))
      ),
    wait: ({ name, onChange }) =>
      Effect.gen(function* () {
        yield* known(name)
        const view = deploymentView(name, 1)
        for (const phase of ["build", "start", "route"] as const) {
          yield* onChange({ ...view, phase, status: "running" })
        }
        if (name === "slow") {
          seen.waiting.push(name)
          return yield* Effect.onInterrupt(Effect.never, () =>
            Effect.sync(() => void seen.interrupted.push(name))
          )
        }
        return {
          deployment: {
            ...view,
            status: "failed" as const,
            failure: Failure.of("no_port", "Nothing listens on the port.", { evidence: ["line 1"] })
          },
          finished: true
        }
      })
  })
