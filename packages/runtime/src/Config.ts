/** Every setting of the runtime, its default and what it means. Providers describe their own. */
import { Config, Option, Schema } from "effect"
import { DatabaseUrl } from "./store/DatabaseUrl.ts"

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
  /** Seconds from the start of a process to its first healthy answer. */
  startTimeout: Config.Int("DEPLOY_MCP_START_TIMEOUT").pipe(Config.withDefault(60)),
  /** Days that a deleted service is kept before its rows, artifacts and logs are removed for good. */
  trashRetention: Config.Int("DEPLOY_MCP_TRASH_DAYS").pipe(Config.withDefault(30)),
  /** Seconds of silence after which a control process is taken for dead by those that stand by. */
  takeover: Config.Int("DEPLOY_MCP_TAKEOVER").pipe(Config.withDefault(15)),
  /** Program of the edge process. */
  edge: Config.option(Config.String("DEPLOY_MCP_EDGE")).pipe(Config.map(Option.getOrNull))
})
export type Settings = Config.Success<typeof settings>
