/**
 * A real Docker Engine for tests, from Debian's packages and without any registry. It lives in a
 * network and a mount namespace of its own, so that its bridges, rules and mounts are not this
 * machine's and end with it; a pair of links joins the two. What it stores is in memory there: other
 * tests keep the disk busy, and an engine writes through to it. Socket and settings are in a folder.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { request } from "node:http"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import type { Readable } from "node:stream"
import { Context, Effect, Layer, Schedule } from "effect"
import { baseImage } from "./BaseImage.ts"
import { processesOf, removeControlGroups } from "./EngineRemains.ts"
import { island } from "./Island.ts"

export interface Reply {
  readonly status: number
  readonly text: string
}

export class DockerEngine extends Context.Service<
  DockerEngine,
  {
    /** Of the API. */
    readonly socket: string
    /** The engine's address as this machine sees it: a port published there is reached from here. */
    readonly address: string
    /** This machine's address as containers see it. They reach nothing else. */
    readonly host: string
    /** An image with Node.js, `/bin/sh` and busybox's tools. */
    readonly image: string
    /** One call of the API, e.g. `GET /containers/json`. */
    readonly call: (method: string, path: string, body?: object | Readable) => Effect.Effect<Reply>
    /** As `systemctl stop docker` does; nothing happens when it is stopped. */
    readonly stop: Effect.Effect<void>
    /** Returns when the API answers. */
    readonly start: Effect.Effect<void>
  }
>()("@deploy-mcp/providers/testing/DockerEngine") {}

const folders = [
  ...(process.env.PATH ?? "").split(delimiter),
  "/usr/sbin",
  "/sbin",
  "/usr/bin",
  "/bin"
]
const programs = [
  "dockerd",
  "containerd",
  "runc",
  "iptables",
  "ip",
  "nsenter",
  "unshare",
  "busybox"
]

/** What an engine does first: a root without such rights starts none. */
const probe = "mount -t tmpfs probe /run && ip link add probe0 type bridge && iptables -t nat -S"

/** It needs root, a kernel that gives namespaces, and docker.io, iptables and busybox-static. */
export const isInstalled =
  process.getuid?.() === 0 &&
  programs.every((program) => folders.some((folder) => existsSync(join(folder, program)))) &&
  spawnSync("unshare", ["--net", "--mount", "sh", "-c", probe]).status === 0

export interface EngineOptions {
  /** Containers go on while the engine itself is away, as `live-restore` of its settings says. */
  readonly liveRestore?: boolean
}

export const layerWith = ({ liveRestore = false }: EngineOptions) =>
  Layer.effect(
    DockerEngine,
    Effect.gen(function* () {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "docker-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      )
      const name = `dk${randomBytes(4).toString("hex")}`
      const { address, host, namespaces } = yield* island(name)
      const socket = join(directory, "docker.sock")
      const settings = join(directory, "daemon.json")
      writeFileSync(settings, settingsOf({ directory, name, socket, liveRestore }))

      let daemon: ChildProcess | null = null
      const call = (method: string, path: string, body?: object | Readable) =>
        ask(socket, method, path, body).pipe(Effect.orDie)
      const start = Effect.suspend(() => {
        daemon = daemonIn(namespaces, settings, join(directory, "daemon.log"))
        return ask(socket, "GET", "/_ping").pipe(
          Effect.retry({ schedule: Schedule.spaced("50 millis"), times: 400 }),
          Effect.mapError(() => readFileSync(join(directory, "daemon.log"), "utf8").slice(-2000)),
          Effect.orDie
        )
      }).pipe(Effect.asVoid)
      const stop = Effect.suspend(() => {
        const ending = daemon
        daemon = null
        return ending === null ? Effect.void : terminate(ending)
      })

      yield* Effect.addFinalizer(() =>
        removeContainers(socket).pipe(
          Effect.ignore,
          Effect.andThen(stop),
          Effect.andThen(
            Effect.promise(async () => {
              for (const pid of await processesOf(name, namespaces)) kill(pid)
              await removeControlGroups(name)
            })
          )
        )
      )
      yield* start
      const image = "deploy-mcp-test/base:1"
      const [repo, tag] = image.split(":")
      const imported = yield* call(
        "POST",
        `/images/create?fromSrc=-&repo=${repo}&tag=${tag}&changes=${encodeURIComponent('CMD ["/bin/sh"]')}`,
        yield* baseImage
      )
      if (imported.status !== 200) return yield* Effect.die(imported.text)
      return { socket, address, host, image, call, stop, start }
    })
  )

export const layer = layerWith({})

const settingsOf = (at: {
  readonly directory: string
  readonly name: string
  readonly socket: string
  readonly liveRestore: boolean
}) =>
  JSON.stringify({
    "data-root": "/run/engine",
    "exec-root": "/run/engine-state",
    pidfile: join(at.directory, "docker.pid"),
    hosts: [`unix://${at.socket}`],
    "cgroup-parent": `/${at.name}`,
    "live-restore": at.liveRestore,
    "shutdown-timeout": 5
  })

const daemonIn = (namespaces: string, settings: string, log: string): ChildProcess => {
  const output = openSync(log, "a")
  const child = spawn(
    "nsenter",
    [`--target=${namespaces}`, "--net", "--mount", "dockerd", `--config-file=${settings}`],
    { stdio: ["ignore", output, output], env: { PATH: folders.join(delimiter) } }
  )
  closeSync(output)
  return child
}

const terminate = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGTERM")
  }).pipe(
    Effect.timeoutOrElse({
      duration: "20 seconds",
      orElse: () => Effect.sync(() => child.kill("SIGKILL"))
    }),
    Effect.asVoid
  )

const removeContainers = (socket: string) =>
  Effect.gen(function* () {
    const { text } = yield* ask(socket, "GET", "/containers/json?all=true")
    const ids = [...text.matchAll(/"Id":"([0-9a-f]{64})"/gu)].map(([, id]) => id)
    yield* Effect.forEach(
      ids,
      (id) => ask(socket, "DELETE", `/containers/${id}?force=true&v=true`),
      { concurrency: 8 }
    )
  }).pipe(Effect.timeout("15 seconds"))

const kill = (pid: number) => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // It has ended by itself.
  }
}

const ask = (socketPath: string, method: string, path: string, body?: object | Readable) =>
  Effect.callback<Reply, Error>((resume) => {
    const isStream = body !== undefined && "pipe" in body
    const question = request(
      {
        socketPath,
        method,
        path,
        agent: false,
        headers: { "content-type": isStream ? "application/x-tar" : "application/json" }
      },
      (answer) => {
        let text = ""
        answer.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk
        })
        answer.once("end", () => resume(Effect.succeed({ status: answer.statusCode ?? 0, text })))
        answer.once("error", (cause) => resume(Effect.fail(cause)))
      }
    )
    question.on("error", (cause) => resume(Effect.fail(cause)))
    if (isStream) body.pipe(question)
    else question.end(body === undefined ? undefined : JSON.stringify(body))
    return Effect.sync(() => question.destroy())
  })
