/** Every setting of the runtime, its default and what it means. Providers describe their own. */
import { defaultPauseAfter } from "@deploy-mcp/domain/node/Backoff"
import { parseAllowedRanges } from "@deploy-mcp/domain/node/EgressPolicy"
import { sandboxChoices } from "@deploy-mcp/domain/node/SandboxChoice"
import { Config, Option, Schema, SchemaIssue } from "effect"
import { DatabaseUrl } from "./store/DatabaseUrl.ts"

/** A list that the edge reads again; here an operator hears at once what is wrong with it. */
const AllowedRanges = Schema.String.check(
  Schema.makeFilter((text) => parseAllowedRanges(text).problem ?? undefined)
)

const atLeast = (minimum: number) =>
  Schema.NumberFromString.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(minimum))

const upToAMillion = (minimum: number) =>
  Schema.NumberFromString.check(Schema.isInt(), Schema.isBetween({ minimum, maximum: 1_000_000 }))

const LinesPerSecond = upToAMillion(1)
const RestartLimit = upToAMillion(0)

/** The release before the live one still answers its last requests while artifacts are collected. */
const KeptReleases = atLeast(1)
const Mebibytes = atLeast(1)
/** Idempotency keys answer with a deployment for one. */
const Days = atLeast(1)
const Minutes = atLeast(0)
/** 0: there is none. */
const Quota = atLeast(0)

export const settings = Config.all({
  /** Folder that holds all state. */
  home: Config.String("DEPLOY_MCP_HOME").pipe(Config.withDefault(".deploy-mcp")),
  /**
   * Postgres that holds the rows instead of a file in the home. Several control processes on one home
   * may share it: one acts, the others forward to it and take over. The connection keeps a lock, so it
   * must not go through a pooler that changes sessions.
   */
  databaseUrl: Config.schema(Schema.NullOr(DatabaseUrl), "DEPLOY_MCP_DATABASE_URL").pipe(
    Config.withDefault(null)
  ),
  /** Where instances of providers are named; without it `deploy-mcp.toml` in the home, if that is there. */
  settingsFile: Config.option(Config.String("DEPLOY_MCP_SETTINGS")).pipe(
    Config.map(Option.getOrNull)
  ),
  /** MCP, git, API and health, on 127.0.0.1. */
  port: Config.Port("DEPLOY_MCP_PORT").pipe(Config.withDefault(8081)),
  /** Deployed services, on 127.0.0.1. */
  appsPort: Config.Port("DEPLOY_MCP_APPS_PORT").pipe(Config.withDefault(8080)),
  /** Services are reached as `<label>.<apps domain>`; every browser resolves `*.localhost` itself. */
  appsDomain: Config.String("DEPLOY_MCP_APPS_DOMAIN").pipe(Config.withDefault("localhost")),
  /** Name of the built-in git host, as the `host` argument and in `host/owner/name`. */
  gitHost: Config.String("DEPLOY_MCP_GIT_HOST").pipe(Config.withDefault("internal")),
  /** Host names beside the loopback ones that MCP clients may use. */
  allowedHosts: Config.String("DEPLOY_MCP_ALLOWED_HOSTS").pipe(
    Config.withDefault(""),
    Config.map((list) =>
      list
        .split(",")
        .map((host) => host.trim())
        .filter((host) => host !== "")
    )
  ),
  /**
   * What services may call where each has a network of its own: the `public` internet or `none`. Holds
   * from the edge's next start.
   */
  egress: Config.Literals(["public", "none"], "DEPLOY_MCP_EGRESS").pipe(
    Config.withDefault("public" as const)
  ),
  /**
   * What they may call besides, such as a database in the operator's network: IPv4 addresses or ranges
   * with a port if you like, as in `10.0.0.5:5432, 10.1.0.0/16`. Only an entry with one address and one
   * port may be on this machine itself.
   */
  egressAllow: Config.schema(AllowedRanges, "DEPLOY_MCP_EGRESS_ALLOW").pipe(Config.withDefault("")),
  /**
   * What services run in: `bubblewrap`; `gvisor`, a kernel of their own; `none`, which leaves only those of
   * the platform's own owner; or `auto`, bubblewrap where it works and else none. Where `bubblewrap` or
   * `gvisor` does not work, no service is run. Holds from the edge's next start.
   */
  sandbox: Config.Literals(sandboxChoices, "DEPLOY_MCP_SANDBOX").pipe(
    Config.withDefault("auto" as const)
  ),
  /**
   * Lines that one service may print in a second: what is more is left out, and a line of its log says
   * how many. Holds from the edge's next start.
   */
  logRate: Config.schema(LinesPerSecond, "DEPLOY_MCP_LOG_RATE").pipe(Config.withDefault(2_000)),
  /**
   * MiB of what one service has printed that are kept: the oldest lines go first, and whoever reads where
   * they stood is told how many. Holds from the edge's next start.
   */
  logSize: Config.schema(Mebibytes, "DEPLOY_MCP_LOG_SIZE").pipe(Config.withDefault(4)),
  /**
   * Ends of a live process within ten minutes after which it is paused: it is started again by the next
   * release alone. 0: never. Holds from the edge's next start.
   */
  restartLimit: Config.schema(RestartLimit, "DEPLOY_MCP_RESTART_LIMIT").pipe(
    Config.withDefault(defaultPauseAfter)
  ),
  /** Seconds from the start of a process to its first healthy answer. */
  startTimeout: Config.Int("DEPLOY_MCP_START_TIMEOUT").pipe(Config.withDefault(60)),
  /**
   * MiB that the disk of the home keeps free: with less nothing is built, so that services, logs and
   * rows have room. 0: it is never looked at.
   */
  minFreeDisk: Config.Int("DEPLOY_MCP_MIN_FREE_DISK").pipe(Config.withDefault(512)),
  /**
   * MiB of artifacts that one owner may have, each counted in full also where files are shared: beyond it
   * nothing is built for that owner. 0: there is no quota.
   */
  artifactQuota: Config.schema(Quota, "DEPLOY_MCP_ARTIFACT_QUOTA").pipe(Config.withDefault(51_200)),
  /**
   * MiB of repositories on the built-in git host that one owner may have: beyond it pushes and deployed
   * files are refused. 0: there is no quota.
   */
  repositoryQuota: Config.schema(Quota, "DEPLOY_MCP_REPOSITORY_QUOTA").pipe(
    Config.withDefault(10_240)
  ),
  /** Releases of a service before the live one whose artifacts are kept, to go back to; at least 1. */
  keptReleases: Config.schema(KeptReleases, "DEPLOY_MCP_KEEP_RELEASES").pipe(Config.withDefault(5)),
  /**
   * Deployments of one owner that may be queued or running at a time, those of its pushes too. What is
   * more is refused with `rate_limited`, unless its service has one open already. 0: any number.
   */
  openPerOwner: Config.Int("DEPLOY_MCP_OPEN_DEPLOYMENTS").pipe(Config.withDefault(500)),
  /** The same for those that one key has asked for. */
  openPerKey: Config.Int("DEPLOY_MCP_OPEN_DEPLOYMENTS_PER_KEY").pipe(Config.withDefault(250)),
  /** Days that a deleted service is kept before its rows, artifacts and logs are removed for good. */
  trashRetention: Config.Int("DEPLOY_MCP_TRASH_DAYS").pipe(Config.withDefault(30)),
  /**
   * Days that a deployment is known after its end, with its log and its steps; at least 1. The newest of a
   * service, the live one and those that can be gone back to stay longer.
   */
  keptHistory: Config.schema(Days, "DEPLOY_MCP_KEEP_HISTORY").pipe(Config.withDefault(30)),
  /**
   * Minutes from one time that what is old is forgotten to the next. There is one a minute after each
   * start. 0: there are no others.
   */
  pruneEvery: Config.schema(Minutes, "DEPLOY_MCP_PRUNE_MINUTES").pipe(Config.withDefault(60)),
  /**
   * Minutes between two comparisons of the home, the nodes and the rows with each other; what differs
   * is said in the log and mended. There is one at each start. 0: there are no others.
   */
  reconcileEvery: Config.Int("DEPLOY_MCP_RECONCILE_MINUTES").pipe(Config.withDefault(10)),
  /** Seconds of silence after which a control process is taken for dead by those that stand by. */
  takeover: Config.Int("DEPLOY_MCP_TAKEOVER").pipe(Config.withDefault(15)),
  /** Program of the edge process. */
  edge: Config.option(Config.String("DEPLOY_MCP_EDGE")).pipe(Config.map(Option.getOrNull))
})
export type Settings = Config.Success<typeof settings>

/** Which setting can't be used and why, as `DEPLOY_MCP_PORT: …`. */
export const problemOf = ({ cause, message }: Config.ConfigError): string => {
  const [issue] = "issue" in cause ? format(cause.issue).issues : []
  return issue ? `${(issue.path ?? []).map(String).join(".")}: ${issue.message}.` : message
}

const format = SchemaIssue.makeFormatterStandardSchemaV1()
