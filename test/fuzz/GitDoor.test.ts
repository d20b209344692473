/** Addresses at the git door: nothing but two plain names ever gets as far as a question for access. */

import { createServer } from "node:http"
import { connect } from "node:net"
import { text } from "node:stream/consumers"
import { refuse } from "@deploy-mcp/domain/Failure"
import { Git } from "@deploy-mcp/domain/Git"
import { GitAccess } from "@deploy-mcp/runtime/http/GitAccess"
import * as GitPush from "@deploy-mcp/runtime/http/GitPush"
import * as Instances from "@deploy-mcp/runtime/Instances"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer, ManagedRuntime, Stream } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import * as fc from "fast-check"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { holds, patience } from "./Law.ts"
import { bytes, word } from "./Words.ts"

const asked: Array<string> = []
const access = Layer.succeed(GitAccess, {
  authorize: (owner, repo) => {
    asked.push(owner, repo)
    return Effect.fail(refuse("unauthorized", "The token is not valid."))
  },
  objection: () => Effect.succeed(null),
  pushed: () => Stream.empty
})
const runtime = ManagedRuntime.make(
  HttpRouter.serve(GitPush.layer, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(
      Layer.merge(
        access,
        Instances.single(Instances.Gits, Git, "internal").pipe(Layer.provide(Layer.mock(Git, {})))
      )
    ),
    Layer.provideMerge(NodeHttpServer.layer(() => createServer(), { port: 0, host: "127.0.0.1" }))
  )
)
let port = 0
beforeAll(async () => {
  const { address } = await runtime.runPromise(HttpServer.HttpServer)
  port = "port" in address ? address.port : 0
})
afterAll(() => runtime.dispose())

const service = fc.constantFrom(
  "info/refs?service=git-upload-pack",
  "info/refs?service=git-receive-pack",
  "info/refs",
  "git-upload-pack",
  "git-receive-pack",
  "HEAD",
  "objects/info/packs",
  ""
)
const address = fc.oneof(
  fc.tuple(word, word, service).map((parts) => parts.join("/")),
  fc.tuple(word, service).map(([name, end]) => `awake-dassie/${name}.git/${end}`),
  fc.tuple(word, word).map(([path, query]) => `${path}?${query}`)
)

describe("the git door", () => {
  it(
    "asks about plain names only, and answers all else itself",
    () =>
      holds(fc.tuple(fc.constantFrom("GET", "POST", "PUT"), address), async ([method, path]) => {
        asked.length = 0
        const target = bytes(path).replace(/[\0-\x20]/gu, "")
        const socket = connect(port, "127.0.0.1")
        socket.write(
          `${method} /git/${target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
          "latin1"
        )
        const answer = await text(socket)
        const status = Number(/^HTTP\/1\.1 (\d{3})/u.exec(answer)?.[1] ?? 0)
        assert.oneOf(status, [400, 401, 404, 405, 431], `${target}\n${answer}`)
        for (const name of asked) assert.match(name, /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u)
        if (asked.length > 0) assert.strictEqual(status, 401)
      }),
    patience
  )
})
