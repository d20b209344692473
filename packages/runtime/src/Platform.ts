/** Facts of this running platform that commands, doors and pages share. */
import { Context } from "effect"

export class Platform extends Context.Service<
  Platform,
  {
    /** Absolute path of the folder that holds all state. */
    readonly home: string
    readonly port: number
    readonly appsPort: number
    readonly appsDomain: string
    readonly gitHost: string
    readonly allowedHosts: ReadonlyArray<string>
    /** Milliseconds. */
    readonly startTimeout: number
    /** Bytes of the home's disk without which nothing is built. */
    readonly minFreeDisk: number
    /** Bytes of artifacts that one owner may have; 0: any number. */
    readonly artifactQuota: number
    /** Bytes of repositories on the built-in host that one owner may have; 0: any number. */
    readonly repositoryQuota: number
    /** Releases of a stage before its live one whose artifacts are kept. */
    readonly keptReleases: number
    /** Deployments that one key may have open; 0: any number. */
    readonly openPerKey: number
    /** The same for all keys and pushes of one owner together. */
    readonly openPerOwner: number
    /** Milliseconds that a deleted service can be brought back. */
    readonly trashRetention: number
    /** Milliseconds that a deployment is known after its end, unless something leads back to it. */
    readonly keptHistory: number
  }
>()("@deploy-mcp/runtime/Platform") {}

type Facts = Pick<Platform["Service"], "port" | "appsPort" | "appsDomain">

/** Where a label is reached, e.g. `http://my-saas.localhost:8080`. */
export const urlOf = (platform: Facts, label: string): string =>
  `http://${label}.${platform.appsDomain}:${platform.appsPort}`

/** A line that reaches it without name resolution. */
export const tryOf = (platform: Facts, label: string): string =>
  `curl -H 'Host: ${label}.${platform.appsDomain}' http://127.0.0.1:${platform.appsPort}/`

/** Where git and MCP are reached. */
export const controlUrl = (platform: Facts): string => `http://127.0.0.1:${platform.port}`
