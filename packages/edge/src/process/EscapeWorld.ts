/** For tests: what a service must not find outside of its sandbox, and the program that looks for it. */
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { randomBytes, randomInt } from "node:crypto"
import {
  chmod,
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  rm,
  writeFile
} from "node:fs/promises"
import { type AddressInfo, createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { maskedFiles } from "@deploy-mcp/domain/node/KernelFiles"
import { numbersOf } from "@deploy-mcp/domain/node/SystemCallNumbers"
import { fetchText, type TestEdge } from "./TestEdge.ts"

const run = promisify(execFile)

export interface EscapeWorld {
  /** Readable by anybody: holds the program, a setuid program and a socket. */
  readonly folder: string
  /** Told to the program. */
  readonly facts: Readonly<Record<string, string>>
  readonly close: () => Promise<void>
}

/** Why each attempt was refused, by its name; empty: it was not. */
export type Attempts = ReadonlyMap<string, string>

export const attemptsOf = (told: string): Attempts =>
  new Map(
    told
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => {
        const [name = "", reason = "untold"] = line.split("\t")
        return [name, reason] as const
      })
  )

export const succeeded = (attempts: Attempts): ReadonlyArray<string> =>
  [...attempts].flatMap(([name, reason]) => (reason === "" ? [name] : []))

const program = "Escapes.pl"

/** A process of `user` that can be looked for, sockets that can be called, a home that can be read. */
export const openEscapeWorld = async (platform: string, user?: number): Promise<EscapeWorld> => {
  const folder = await mkdtemp(join(tmpdir(), "escape-world-"))
  await chmod(folder, 0o755)
  await copyFile(new URL(program, import.meta.url), join(folder, program))
  await addSetuid(folder)
  await mkdir(platform, { recursive: true })
  await writeFile(join(platform, "owner-key"), "a key", { mode: 0o600 })
  const word = randomBytes(8).toString("hex")
  const outside = spawn("sleep", ["600"], {
    argv0: `outside-${word}`,
    env: { ...process.env, OUTSIDE_WORD: word },
    stdio: "ignore",
    ...(user === undefined ? {} : { uid: user, gid: user })
  })
  const segment = String(randomInt(1, 2 ** 31))
  await run("perl", ["-e", "shmget($ARGV[0], 4096, 01666) // die", segment])
  const abstract = `escape-${word}`
  const socket = join(folder, "socket")
  const servers = [await listen(socket), await listen(`\0${abstract}`), await listen(0)]
  await chmod(socket, 0o777)
  return {
    folder,
    facts: {
      CALLS: callNumbers(),
      OUTSIDE: String(outside.pid),
      WORD: word,
      SEGMENT: segment,
      PLATFORM: platform,
      SOCKET: socket,
      ABSTRACT: abstract,
      LOOPBACK: portOf(servers),
      DEVICES: (await openable()).join(" "),
      MASKED: (await existing(maskedFiles)).join(" "),
      SETUID_ID: `./${setuidName}`
    },
    close: async () => {
      for (const server of servers) server.close()
      await killed(outside)
      await run("perl", ["-e", "shmctl(shmget($ARGV[0], 0, 0), 0, 0)", segment])
      await rm(folder, { recursive: true, force: true })
    }
  }
}

/** As a service of the edge. */
export const attemptsOfService = async (edge: TestEdge, world: EscapeWorld): Promise<Attempts> => {
  const service = await edge.run(
    `require("node:http").createServer((question, answer) => {
      if (question.url !== "/attempts") return answer.end("healthy")
      require("node:child_process").execFile("perl", ["./${program}"], (error, told, words) =>
        answer.end(error ? String(error) + words : told))
    }).listen(process.env.PORT)`,
    { variables: { ...world.facts } }
  )
  await copyFile(join(world.folder, program), join(service.directory, program))
  await addSetuid(service.directory)
  const endpoint = await service.healthy()
  const attempts = attemptsOf(await fetchText(endpoint, "/attempts"))
  await service.process.stop(0)
  return attempts
}

const setuidName = "setuid-id"
const addSetuid = async (folder: string): Promise<void> => {
  await copyFile("/usr/bin/id", join(folder, setuidName))
  await chmod(join(folder, setuidName), 0o4755)
}

const callNumbers = (): string => {
  const { arch } = process
  if (arch !== "x64" && arch !== "arm64") throw new Error(`the calls of ${arch} are not known`)
  return [...numbersOf(arch)].map(([name, number]) => `${name}=${number}`).join(" ")
}

const listen = (at: string | number): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer((connection) => connection.destroy())
    server.once("error", reject)
    const ready = () => resolve(server)
    if (typeof at === "string") server.listen(at, ready)
    else server.listen(at, "127.0.0.1", ready)
  })

const portOf = (servers: ReadonlyArray<Server>): string =>
  servers
    .map((server) => server.address())
    .filter((address): address is AddressInfo => typeof address === "object" && address !== null)
    .map(({ port }) => String(port))
    .join()

const existing = async (paths: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const found = await Promise.all(paths.map((path) => lstat(path).catch(() => null)))
  return paths.filter((_, index) => found[index] !== null)
}

/** Disks that can be read from here. */
const openable = async (): Promise<ReadonlyArray<string>> => {
  const names = await readdir("/sys/block").catch(() => [])
  const paths = names.map((name) => `/dev/${name}`)
  const opened = await Promise.all(
    paths.map((path) =>
      open(path).then(
        (file) => file.close().then(() => true),
        () => false
      )
    )
  )
  return paths.filter((_, index) => opened[index])
}

const killed = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    child.once("exit", () => resolve())
    child.kill("SIGKILL")
  })
