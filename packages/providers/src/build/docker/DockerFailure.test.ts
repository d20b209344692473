/** Complaints in the words of newer releases of BuildKit; those of the tests' own engine come from it. */
import { failureOf } from "@deploy-mcp/domain/Fault"
import { Effect } from "effect"
import { assert, it } from "vitest"
import { dockerFailure, type Ended } from "./DockerFailure.ts"

const log = {
  write: () => {},
  say: () => {},
  evidence: () => ["the last line"],
  recent: () => "the last line",
  close: Effect.void
}

const dockerfile = "FROM x\nRUUN y\n"
const told = (ended: Partial<Ended>) =>
  dockerFailure({ failed: null, message: "", ...ended }, { step: null, dockerfile, log }).reason

const failed = (name: string, error: string): Partial<Ended> => ({
  failed: { name, error },
  message: `ERROR: failed to build: failed to solve: ${error}`
})

const cases: ReadonlyArray<[of: string, ended: Partial<Ended>, code: string, cause: RegExp]> = [
  [
    "a command",
    failed(
      "[2/4] RUN make",
      'process "/bin/sh -c make" did not complete successfully: exit code: 2'
    ),
    "build_failed",
    /^'RUN make' ended with 2\.$/u
  ],
  [
    "a command that speaks of exit codes and lost connections",
    failed(
      "[2/4] RUN x",
      'process "/bin/sh -c echo exit code: 7, unexpected EOF" did not complete successfully: exit code: 1'
    ),
    "build_failed",
    /ended with 1\.$/u
  ],
  [
    "an instruction",
    {
      message: "ERROR: failed to solve: dockerfile parse error on line 2: unknown instruction: RUUN"
    },
    "manifest_invalid",
    /^Dockerfile is not valid \(line 2\): unknown instruction: RUUN\.$/u
  ],
  [
    "the server's own network",
    {
      message:
        "ERROR: failed to solve: granting entitlement network.host is not allowed by build daemon configuration"
    },
    "manifest_invalid",
    /^Dockerfile can not be built: entitlement network\.host is not allowed/u
  ],
  [
    "an image that does not exist",
    failed(
      "[internal] load metadata for docker.io/library/nosuch:1",
      "docker.io/library/nosuch:1: not found"
    ),
    "build_failed",
    /^The image 'nosuch:1' could not be fetched\.$/u
  ],
  [
    "an image that takes a login",
    failed(
      "[internal] load metadata for docker.io/a/b:1",
      "pull access denied, repository does not exist or may require authorization"
    ),
    "build_failed",
    /^The image 'a\/b:1' could not be fetched\.$/u
  ],
  [
    "a registry that is away",
    failed(
      "[internal] load metadata for docker.io/library/node:26",
      'failed to do request: Head "https://registry.invalid": dial tcp: i/o timeout'
    ),
    "build_failed",
    /^The registry of the image 'node:26' could not be reached\.$/u
  ],
  [
    "a secret",
    failed("[2/2] RUN --mount=type=secret,id=KEY,required=true x", "secret KEY: not found"),
    "build_failed",
    /asks for the secret 'KEY'/u
  ],
  [
    "a file",
    failed("[2/2] COPY a b", 'failed to calculate checksum of ref x: "/a": not found'),
    "build_failed",
    /^'COPY a b' failed: .*"\/a": not found$/u
  ]
]
it.each(cases)("what is told of %s", (_, ended, code, cause) => {
  const found = failureOf(told(ended))
  assert.strictEqual(found.code, code, found.cause)
  assert.match(found.cause, cause)
})

it.each([
  ["ERROR: Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?"],
  ["ERROR: failed to receive status: rpc error: code = Unavailable desc = error reading: EOF"],
  ["ERROR: failed to solve: write /x: no space left on device"]
])("worth another try: %s", (message) => {
  assert.strictEqual(told({ message })._tag, "Unavailable")
})
