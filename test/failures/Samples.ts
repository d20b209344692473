/** For each way in which a deployment can fail, the smallest thing that fails so. */
import type { FailureCode } from "@deploy-mcp/domain/Failure"
import { below, nodeApp, program } from "../e2e/Samples.ts"
import type { Files } from "../e2e/WorkTree.ts"

/** Small limits, so that what reaches them is small too. */
export const limits = {
  DEPLOY_MCP_START_TIMEOUT: "3",
  DEPLOY_MCP_GIT_MAX_SOURCE_BYTES: "100000",
  BUILD_STEP_TIMEOUT: "5 seconds",
  BUILD_OUTPUT_LIMIT: String(1024 ** 2)
}

export interface Machine {
  readonly ownNetwork: boolean
  /** Each service's memory is limited for real. */
  readonly memoryLimited: boolean
}

export interface Sample {
  readonly what: string
  readonly files: Files
  readonly code: FailureCode
  readonly cause: string | RegExp
  /** One line of it; absent: there is none. */
  readonly evidence?: RegExp
  /** Absent: the catalogue's. */
  readonly next?: RegExp
  readonly patch?: Readonly<Record<string, unknown>>
  /** Absent: the service that all samples without settings share. */
  readonly settings?: Readonly<Record<string, unknown>>
  /** What is live before; absent: nothing, where there are settings. */
  readonly before?: Files
  /** Machines that can fail so; absent: all. */
  readonly where?: (machine: Machine) => boolean
  /** What it does on the others; absent: it is not tried there. */
  readonly otherwise?: "live"
}

const listening = (where: string) =>
  program(`require("node:http").createServer((_, response) => response.end("v1"))
    .listen(${where}, () => console.log("listening"))`)
const starting = (start: string) => program("1", { scripts: { start } })
const building = (build: string) => program("1", { scripts: { start: "node server.js", build } })
const depending = { dependencies: { "is-number": "7.0.0" } }
const lockfile = (version: string) =>
  JSON.stringify({
    name: "app",
    lockfileVersion: 3,
    packages: {
      "": { name: "app", dependencies: { "is-number": version } },
      "node_modules/is-number": { version }
    }
  })

export const samples: ReadonlyArray<Sample> = [
  {
    what: "a folder that is not in the repository",
    files: nodeApp("v1"),
    settings: { root_directory: "apps/web" },
    before: below("apps/web", nodeApp("v1")),
    code: "root_directory_missing",
    cause: "The repository has no folder 'apps/web' at this commit."
  },
  {
    what: "a commit that is too large",
    files: { ...nodeApp("v1"), "video.mp4": "x".repeat(200_000) },
    code: "source_too_large",
    cause: "The files of the commit have 0.2 MiB; at most 0.1 MiB are allowed."
  },
  {
    what: "nothing that can be deployed",
    files: { "README.md": "# hello\n" },
    code: "unknown_kind",
    cause: /^Found no .*package\.json/u,
    evidence: /^README\.md$/u
  },
  {
    what: "a program where a site was asked for",
    files: nodeApp("v1"),
    settings: { type: "webapp_static" },
    code: "type_mismatch",
    cause: "The type is webapp_static, and this is a program.",
    next: /^Leave type out to run it/u
  },
  {
    what: "no start command",
    files: { "package.json": `{"private":true}` },
    code: "no_start_command",
    cause: "package.json has no start script, and there is no index.js or server.js."
  },
  {
    what: "a manifest that is no JSON",
    files: { "package.json": "{", "server.js": "" },
    code: "manifest_invalid",
    cause: /^package\.json is not valid JSON \(line 1, column \d+\)\.$/u,
    evidence: /^package\.json:1:\d+: /u
  },
  {
    what: "a package manager that is not there",
    files: program("1", { ...depending, packageManager: "deno@2.1.0" }),
    code: "toolchain_missing",
    cause: "packageManager in package.json is 'deno', which is not supported.",
    evidence: /'deno'/u,
    next: /^Use npm, pnpm, yarn or bun: commit its lockfile/u
  },
  {
    what: "dependencies without a lockfile",
    files: program("1", depending),
    code: "lockfile_missing",
    cause: "package.json has dependencies, but there is no package-lock.json beside it."
  },
  {
    what: "a lockfile of other dependencies",
    files: { ...program("1", depending), "package-lock.json": lockfile("6.0.0") },
    code: "lockfile_outdated",
    cause: "package-lock.json does not match package.json.",
    evidence: /is-number@7\.0\.0/u
  },
  {
    what: "an install command that fails",
    files: nodeApp("v1"),
    settings: { install_command: "echo no such wheel; exit 7" },
    code: "install_failed",
    cause: "'echo no such wheel; exit 7' ended with 7.",
    evidence: /^no such wheel$/u
  },
  {
    what: "a build script that fails",
    files: building("node -e 'console.log(\"no types\"); process.exit(3)'"),
    code: "build_failed",
    cause: "'npm run build' ended with 3.",
    evidence: /^no types$/u
  },
  {
    what: "a build that takes too long",
    files: building("echo still at it && sleep 60"),
    code: "build_timed_out",
    cause: "'npm run build' did not end within 5s.",
    evidence: /^still at it$/u
  },
  {
    what: "a build that leaves too much",
    files: building("head -c 3000000 /dev/zero > big.bin"),
    code: "output_too_large",
    cause: "The build output is larger than 1 MiB."
  },
  {
    what: "a command that does not exist",
    files: starting("no-such-program"),
    code: "start_failed",
    cause: "The command 'no-such-program' does not exist.",
    evidence: /no-such-program: not found|no-such-program: command not found/u
  },
  {
    what: "an exit at once",
    files: program(`console.error("no database"); process.exit(1)`),
    code: "exited",
    cause: "The process ended with exit code 1.",
    evidence: /^no database$/u
  },
  {
    what: "a module that is not installed",
    files: program(`require("left-out")`),
    code: "missing_module",
    cause: "The module 'left-out' is missing.",
    evidence: /Cannot find module 'left-out'/u
  },
  {
    what: "more memory than the service has",
    files: program(`const all = []
      console.log("filling")
      setInterval(() => all.push(Buffer.alloc(8 * 1024 * 1024, 1)), 1)`),
    settings: { memory: 64 },
    code: "out_of_memory",
    cause: "The process used more than its 64 MiB of memory.",
    evidence: /^filling$/u,
    where: ({ memoryLimited }) => memoryLimited
  },
  {
    what: "no port at all",
    files: program(`console.log("idle"); setInterval(() => {}, 1000)`),
    code: "no_port",
    cause: /^The process listened on no port within 3 s; PORT was \d+\.$/u,
    evidence: /^idle$/u
  },
  {
    what: "another port than the service's",
    files: listening("4138"),
    settings: { port: 4137 },
    before: listening("4137"),
    code: "wrong_port",
    cause: "The process listens on port 4138, not on port 4137.",
    evidence: /^listening$/u,
    next: /or call update_service with name wrong-port and port 4138\.$/u,
    patch: { port: 4138 }
  },
  {
    what: "the loopback address only",
    files: listening(`process.env.PORT, "127.0.0.1"`),
    code: "loopback_only",
    cause: /^The process listens on port \d+, but only on the loopback address\.$/u,
    evidence: /^listening$/u,
    where: ({ ownNetwork }) => ownNetwork,
    otherwise: "live"
  },
  {
    what: "a port that its own release before holds",
    files: listening("4139"),
    settings: { port: 4139 },
    before: listening("4139"),
    code: "fixed_port",
    cause: "Port 4139 is taken by another process.",
    evidence: /EADDRINUSE/u,
    where: ({ ownNetwork }) => !ownNetwork,
    otherwise: "live"
  },
  {
    what: "a health check that fails",
    files: program(`require("node:http").createServer((_, response) => {
      response.statusCode = 500
      response.end("no database")
    }).listen(process.env.PORT)`),
    code: "unhealthy",
    cause: /^\/ gave no good answer within 3 s: .*500/u,
    evidence: /no database/u
  }
]

/** Fails only afterwards: it lives until somebody asks it for /end. */
export const mortal: Pick<Sample, "code" | "files"> = {
  code: "crash_loop",
  files: program(`require("node:http")
    .createServer((request, response) => {
      if (request.url === "/end") process.exit(9)
      response.end("alive")
    })
    .listen(process.env.PORT)`)
}
