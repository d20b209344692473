/** What package managers and compilers are told in every build, wherever it runs. */

/** Addresses of the operator's; null: the usual ones. */
export interface PackageSources {
  readonly pythonIndex: string | null
  readonly goProxy: string | null
}

/** A tenant's variables replace these. */
export const toolDefaults = (cache: string, { pythonIndex, goProxy }: PackageSources) => ({
  LANG: "C.UTF-8",
  CI: "true",
  NO_COLOR: "1",
  PIP_NO_INPUT: "1",
  PIP_PROGRESS_BAR: "off",
  PIP_DISABLE_PIP_VERSION_CHECK: "1",
  ...(pythonIndex === null ? {} : { PIP_INDEX_URL: pythonIndex, UV_DEFAULT_INDEX: pythonIndex }),
  UV_NO_PROGRESS: "1",
  UV_LINK_MODE: "copy",
  UV_PYTHON_DOWNLOADS: "never",
  GOPATH: `${cache}/_others/go`,
  GOFLAGS: "-buildvcs=false -modcacherw",
  GOTOOLCHAIN: "local",
  CGO_ENABLED: "0",
  ...(goProxy === null ? {} : { GOPROXY: goProxy })
})

/** Where the tools keep what they fetch, and whom they trust; a tenant's variables do not replace these. */
export const toolPlaces = (
  places: { readonly cache: string; readonly npmrc: string },
  caFile: string | null
): Record<string, string> => ({
  npm_config_cache: places.cache,
  npm_config_globalconfig: places.npmrc,
  XDG_CACHE_HOME: `${places.cache}/_others`,
  BUN_INSTALL_CACHE_DIR: `${places.cache}/_others/bun`,
  YARN_GLOBAL_FOLDER: `${places.cache}/_others/berry`,
  YARN_ENABLE_GLOBAL_CACHE: "true",
  YARN_ENABLE_TELEMETRY: "false",
  // A project may bring a yarn of its own; the planned one runs.
  YARN_IGNORE_PATH: "1",
  ...(caFile === null
    ? {}
    : {
        NODE_EXTRA_CA_CERTS: caFile,
        SSL_CERT_FILE: caFile,
        PIP_CERT: caFile,
        npm_config_cafile: caFile
      })
})

/** Defaults that a project's own .npmrc may override. Few retries: a step must not hang on a dead registry. */
export const npmrc = (npmRegistry: string | null) =>
  [
    "audit=false",
    "fund=false",
    "update-notifier=false",
    "progress=false",
    "prefer-offline=true",
    "fetch-retries=2",
    "fetch-retry-mintimeout=500",
    "fetch-retry-maxtimeout=3000",
    "fetch-timeout=60000",
    ...(npmRegistry === null ? [] : [`registry=${npmRegistry}`]),
    ""
  ].join("\n")

/** For the yarn that reads no .npmrc; JSON is YAML too. */
export const yarnrc = (npmRegistry: string | null) =>
  `${JSON.stringify(npmRegistry === null ? {} : { npmRegistryServer: npmRegistry })}\n`
