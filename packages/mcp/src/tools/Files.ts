import { Services } from "@deploy-mcp/domain/commands/Services"
import { ServiceView } from "@deploy-mcp/domain/commands/Views"
import { refuse } from "@deploy-mcp/domain/Failure"
import { FilePath, ServiceName } from "@deploy-mcp/domain/model/Names"
import { Effect, Schema } from "effect"
import * as Tool from "../Tool.ts"
import * as Fields from "./Fields.ts"

const maxInlineFiles = 500

const Inline = Schema.Record(Schema.String, Schema.String).pipe(
  Schema.check(
    Schema.makeFilter((files) => {
      const paths = Object.keys(files)
      const bad = paths.findIndex((path) => !isFilePath(path))
      if (bad >= 0) {
        return `path number ${bad + 1} is not valid; a path is relative, without '..' or '.git', e.g. src/server.js`
      }
      return paths.length <= maxInlineFiles || `at most ${maxInlineFiles} files; send a tarball`
    })
  )
)
const isFilePath = Schema.is(FilePath)

export const deployFiles = Tool.make({
  name: "deploy_files",
  title: "Deploy files",
  toolset: "deploy",
  description:
    "Deploy files without git: commits them to the service's repository for you; a missing service is made, with a repository of its name. They replace the whole content of its branch, so send all files, without dependencies and build output. At most 4 MB; use git push for more. Next: wait_for_deployment.",
  input: Schema.Struct({
    name: Tool.field(ServiceName, "Service, there or new, e.g. my-saas"),
    project: Fields.project,
    files: Schema.optionalKey(
      Tool.field(Inline, 'Text by path, e.g. {"index.html": "<h1>Hello</h1>"}')
    ),
    tarball: Schema.optionalKey(
      Tool.field(
        Schema.NonEmptyString,
        "Instead of files: base64 of a .tar or .tar.gz, e.g. of tar -czf - ."
      )
    ),
    message: Schema.optionalKey(
      Tool.field(
        Schema.NonEmptyString.pipe(Schema.check(Schema.isMaxLength(2000))),
        "Of the commit, e.g. First page"
      )
    ),
    idempotency_key: Fields.idempotencyKey
  }),
  output: Schema.Struct({
    service: ServiceView,
    created: Schema.Boolean,
    commit: Schema.String,
    next: Schema.String
  }),
  plans: true,
  hints: { readOnly: false, destructive: true, idempotent: true, openWorld: false },
  scope: "services:deploy",
  run: ({ files, tarball, idempotency_key, ...service }) =>
    Effect.gen(function* () {
      const source = yield* sourceOf(files, tarball)
      const services = yield* Services
      const made = yield* services.deployFiles({
        ...service,
        source,
        ...Fields.keyed(idempotency_key)
      })
      const undo = made.created ? "delete_service" : "rollback_service"
      return {
        ...made,
        next: `${made.service.next} To undo: ${undo} with name ${service.name}.`
      }
    })
})

const sourceOf = Effect.fnUntraced(function* (
  files: Readonly<Record<string, string>> | undefined,
  tarball: string | undefined
) {
  if ((files === undefined) === (tarball === undefined)) {
    return yield* refuse("invalid_argument", "Either 'files' or 'tarball' is needed, not both.")
  }
  if (tarball === undefined) {
    const text = new TextEncoder()
    return Object.entries(files ?? {}).map(([path, content]) => ({
      path: FilePath.make(path),
      content: text.encode(content)
    }))
  }
  const plain = tarball.replace(/\s/gu, "")
  return /^[A-Za-z0-9+/]+={0,2}$/u.test(plain)
    ? Buffer.from(plain, "base64")
    : yield* refuse("invalid_argument", "'tarball': it is not base64.")
})

export const fileTools: ReadonlyArray<Tool.Tool> = [deployFiles]
