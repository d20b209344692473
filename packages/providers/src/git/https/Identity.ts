/** `host/owner/name`, which is all that may become a URL: no scheme, port, user or path of a caller. */
import type { RepositoryIdentity } from "@deploy-mcp/domain/model/Service"
import { Effect } from "effect"
import { rejected } from "../GitFault.ts"
import { isHostName } from "./Address.ts"

export interface Location {
  /** As people write it, e.g. `github.com/nodejs/node`. */
  readonly title: string
  readonly url: string
}

export const locate = Effect.fn("Identity.locate")(function* ({
  host,
  owner,
  name
}: RepositoryIdentity) {
  if (!isHostName(host)) {
    return yield* invalid("host", "must be a public DNS name in lower case, e.g. github.com")
  }
  if (!isSegment(owner)) return yield* invalid("owner", segmentRule)
  if (!isSegment(name) || /\.(git|lock)$/i.test(name)) {
    return yield* invalid("name", `${segmentRule}, without .git at its end`)
  }
  const title = `${host}/${owner}/${name}`
  const location: Location = { title, url: `https://${title}.git` }
  return location
})

const isSegment = (text: string) =>
  /^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,99}$/u.test(text) && !text.includes("..") && text !== "."

const segmentRule = "must be 1 to 100 letters, digits, '.', '_' or '-', not starting with '-'"

const invalid = (field: string, rule: string) =>
  Effect.fail(rejected("invalid_argument", `The repository's ${field} ${rule}.`))
