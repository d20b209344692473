/** The address of a Postgres database, checked where settings are read. */
import { Redacted, Schema } from "effect"

const isPostgres = (url: Redacted.Redacted): boolean => {
  const parsed = URL.parse(Redacted.value(url))
  return (
    parsed !== null &&
    ["postgres:", "postgresql:"].includes(parsed.protocol) &&
    parsed.pathname.length > 1
  )
}

export const DatabaseUrl = Schema.Redacted(Schema.String).check(
  Schema.makeFilter((url) =>
    isPostgres(url) ? undefined : "must look like postgres://user:password@host:5432/database"
  )
)

/** Which database it is, without how it is opened, e.g. `Postgres database platform at db:5432`. */
export const nameOf = (url: Redacted.Redacted): string => {
  const { host, pathname } = new URL(Redacted.value(url))
  return `Postgres database ${decodeURIComponent(pathname.slice(1))} at ${host || "a local socket"}`
}
