/** The services whose providers are chosen by name, and the instances that are there without a file. */

export const services = ["git", "build", "deploy", "ingress", "dns", "logs", "vault"] as const
export type ServiceWord = (typeof services)[number]

/** Settings that the platform itself reads in an instance's table; its provider never sees them. */
export const platformSettings: Partial<Record<ServiceWord, ReadonlyArray<string>>> = {
  // The build instance that makes what this deploy instance runs.
  deploy: ["build"]
}

/** The deploy instance that is the edge of this machine. */
export const edgeInstance = "local"

export interface Builtin {
  readonly service: ServiceWord
  readonly name: string
  readonly provider: string
  /** Of its directory, in the home. Instances of the settings file are in `instances/<service>.<name>`. */
  readonly folder: string
  /** Names in the environment beside `DEPLOY_MCP_<SERVICE>_<INSTANCE>_<SETTING>`. */
  readonly environment: Readonly<Record<string, string>>
  /** Those that the whole platform has to agree on; its table can't set them. */
  readonly fixed: Readonly<Record<string, string>>
}

export const builtins: ReadonlyArray<Builtin> = [
  {
    service: "git",
    name: "internal",
    provider: "embedded",
    folder: "git",
    environment: {
      max_push_bytes: "DEPLOY_MCP_GIT_MAX_PUSH_BYTES",
      time_limit: "DEPLOY_MCP_GIT_TIME_LIMIT",
      max_source_bytes: "DEPLOY_MCP_GIT_MAX_SOURCE_BYTES",
      max_source_files: "DEPLOY_MCP_GIT_MAX_SOURCE_FILES"
    },
    fixed: {}
  },
  {
    service: "git",
    name: "public",
    provider: "https",
    folder: "git-public",
    environment: {},
    fixed: {}
  },
  {
    service: "build",
    name: "local",
    provider: "process",
    folder: "build",
    environment: {
      step_timeout: "BUILD_STEP_TIMEOUT",
      network: "BUILD_NETWORK",
      allow_hosts: "BUILD_ALLOW_HOSTS",
      memory_limit: "BUILD_MEMORY_LIMIT",
      cpu_limit: "BUILD_CPU_LIMIT",
      output_limit: "BUILD_OUTPUT_LIMIT",
      log_limit: "BUILD_LOG_LIMIT",
      npm_registry: "BUILD_NPM_REGISTRY",
      python_index: "BUILD_PYTHON_INDEX",
      go_proxy: "BUILD_GO_PROXY",
      ca_file: "BUILD_CA_FILE",
      tree_days: "BUILD_TREE_DAYS"
    },
    fixed: {}
  },
  {
    service: "deploy",
    name: edgeInstance,
    provider: "process",
    folder: ".",
    environment: { socket: "DEPLOY_MCP_EDGE_SOCKET" },
    fixed: { apps_port: "DEPLOY_MCP_APPS_PORT" }
  },
  {
    service: "ingress",
    name: "local",
    provider: "embedded",
    folder: ".",
    environment: { socket: "DEPLOY_MCP_EDGE_SOCKET" },
    fixed: { apps_port: "DEPLOY_MCP_APPS_PORT" }
  },
  {
    service: "logs",
    name: "local",
    provider: "embedded",
    folder: "logs",
    environment: {},
    fixed: {}
  },
  {
    service: "vault",
    name: "local",
    provider: "local",
    folder: ".",
    environment: { key: "DEPLOY_MCP_VAULT_KEY" },
    fixed: {}
  }
]
