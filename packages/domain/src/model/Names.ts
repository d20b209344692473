/** Every name and id that crosses a door, with the rule it must follow and an example. */
import { Schema } from "effect"

const label = (rule: RegExp, message: string) =>
  Schema.String.pipe(Schema.check(Schema.isPattern(rule, { message })))

const dnsLabel = /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/u
const dnsLabelRule =
  "1 to 40 characters: lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen, e.g. my-saas"

export const ServiceName = label(dnsLabel, dnsLabelRule).pipe(Schema.brand("ServiceName"))
export type ServiceName = typeof ServiceName.Type

export const ProjectName = label(dnsLabel, dnsLabelRule).pipe(Schema.brand("ProjectName"))
export type ProjectName = typeof ProjectName.Type
export const defaultProject = ProjectName.make("default")

/** An owner's petname, e.g. `awake-dassie`. */
export const OwnerName = label(dnsLabel, dnsLabelRule).pipe(Schema.brand("OwnerName"))
export type OwnerName = typeof OwnerName.Type

export const RepositoryName = label(
  /^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9_-])?$/u,
  "1 to 64 characters: lower-case letters, digits, '.', '_' and '-', starting with a letter or digit, e.g. my-saas"
).pipe(
  Schema.check(
    Schema.makeFilter((name) => !/\.\.|\.git$|\.lock$/.test(name), {
      message: "must not contain '..' nor end in '.git' or '.lock'"
    })
  ),
  Schema.brand("RepositoryName")
)
export type RepositoryName = typeof RepositoryName.Type

/**
 * A repository as callers write it: `my-saas` (yours, on the built-in host), `owner/my-saas`, or a
 * public one of another host by its URL, with or without `https://` and `.git`.
 */
export const RepositoryRef = label(
  /^(?!.*\.\.)((https:\/\/)?(?=.{1,253}\/)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]\/[\w.][\w.-]{0,99}\/[\w.][\w.-]{0,99}\/?|([a-z]([a-z0-9-]{0,38}[a-z0-9])?\/)?[a-z0-9][a-z0-9._-]{0,63})$/u,
  "a repository name, owner/name, or the https URL of a public repository, e.g. my-saas or https://github.com/nodejs/examples"
).pipe(Schema.brand("RepositoryRef"))
export type RepositoryRef = typeof RepositoryRef.Type

/** The subset of `git check-ref-format` that can never be read as an option, a range or a path. */
export const BranchName = label(
  /^(?![-/.])(?!.*(\.\.|\/\/|@\{|\/\.|\.lock(\/|$)))[A-Za-z0-9._/-]{1,200}(?<![/.])$/u,
  "a git branch name of letters, digits, '.', '_', '/' and '-', e.g. main"
).pipe(Schema.brand("BranchName"))
export type BranchName = typeof BranchName.Type
export const defaultBranch = BranchName.make("main")

export const CommitSha = label(
  /^[0-9a-f]{40}$/u,
  "a full commit SHA of 40 hexadecimal digits"
).pipe(Schema.brand("CommitSha"))
export type CommitSha = typeof CommitSha.Type

/** The part of a public host name that is ours: `<label>` of `<label>.localhost`; RFC 1035 allows 63 octets. */
export const HostLabel = label(
  /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/u,
  "a DNS label of at most 63 characters"
).pipe(Schema.brand("HostLabel"))
export type HostLabel = typeof HostLabel.Type

/** Host names that must never belong to a tenant, because they mean the platform itself. */
export const reservedHostLabels: ReadonlySet<string> = new Set(
  "api mcp git www admin dashboard console app apps auth login oauth account status docs blog mail smtp imap ns1 ns2 ns3 ns4 dns static assets cdn edge control internal localhost local support security billing help root postmaster webmaster hostmaster abuse autoconfig autodiscover wpad isatap".split(
    " "
  )
)

export const VariableName = label(
  /^[A-Za-z_][A-Za-z0-9_]{0,127}$/u,
  "1 to 128 characters: letters, digits and '_', not starting with a digit, e.g. DATABASE_URL"
).pipe(Schema.brand("VariableName"))
export type VariableName = typeof VariableName.Type

/** Variables the platform sets itself; a caller's value would be overwritten or act on our own helpers. */
export const reservedVariable = (name: string): boolean =>
  name === "PORT" ||
  name === "HOME" ||
  name === "PATH" ||
  /^(DEPLOY_MCP_|LD_|GIT_|BASH_ENV$|ENV$)/.test(name)

/** One of a release's processes, as a Procfile names it. */
export const ProcessName = label(
  /^[A-Za-z][A-Za-z0-9_-]{0,39}$/u,
  "1 to 40 characters: letters, digits, '_' and '-', starting with a letter, e.g. worker"
)

/** A path inside a repository: relative, without `..`, e.g. `apps/web`. */
export const RelativePath = label(
  /^(?!\/)(?!.*(^|\/)\.\.(\/|$))(?!-)[A-Za-z0-9._/@ +-]{1,255}$/u,
  "a relative path inside the repository without '..', e.g. apps/web"
).pipe(Schema.brand("RelativePath"))
export type RelativePath = typeof RelativePath.Type

/** A file in a repository: parts that are neither empty nor `.`, `..` or `.git`. */
export const FilePath = label(
  /^(?!.*(^|\/)(\.{1,2}|\.git|git~\d+)?(\/|$))[^\p{Cc}\\"]{1,1024}$/iu,
  "a relative path of a file without '..', '.git' or control characters, e.g. src/server.js"
).pipe(Schema.brand("FilePath"))
export type FilePath = typeof FilePath.Type

/** An origin-form path for health checks, e.g. `/healthz`. */
export const HttpPath = label(
  /^\/[\x21-\x7e]{0,255}$/u,
  "an absolute path of visible ASCII characters, e.g. /healthz"
).pipe(Schema.brand("HttpPath"))
export type HttpPath = typeof HttpPath.Type

/** Retries with the same key within 24 hours return the first answer. */
export const IdempotencyKey = label(
  /^[\x21-\x7e]{1,128}$/u,
  "1 to 128 visible ASCII characters, e.g. a UUID"
).pipe(Schema.brand("IdempotencyKey"))
export type IdempotencyKey = typeof IdempotencyKey.Type
