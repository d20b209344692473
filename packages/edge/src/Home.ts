/** The one edge of a home: it holds the control socket, says so in a pid file, and leaves when the home is gone. */
import { randomBytes } from "node:crypto"
import { chmod, link, mkdir, open, readFile, rm, stat, writeFile } from "node:fs/promises"
import { connect, createServer, type Server } from "node:net"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { writeAtomic } from "./AtomicFile.ts"

export interface Home {
  /** Resolves when the folder is not there any more, or is another one. */
  readonly vanished: Promise<void>
  /** The last thing to do: from now on another edge may have this home. */
  readonly leave: () => Promise<void>
}

/** Another edge is alive on this home. */
export class HomeIsHeld extends Error {}

/**
 * Binds `server` to the home's control socket. Rejects with HomeIsHeld when another edge answers
 * there; one that is just ending is waited for.
 */
export const claimHome = async (home: string, server: Server): Promise<Home> => {
  // A unix socket's path has room for 107 bytes: it is bound by its name below the home.
  process.chdir(home)
  await mkdir("run", { recursive: true, mode: 0o700 })
  await chmod("run", 0o700)
  const lock = await takeLock(home)
  try {
    // The lock is out of sight of other network namespaces; the socket is not.
    if (await answers(socketPath)) throw held(home)
    await rm(socketPath, { force: true })
    process.chdir(home)
    const failure = await listen(server, socketPath)
    if (failure !== null) throw failure
    await chmod(join(home, socketPath), 0o600)
    await writeAtomic(join(home, pidPath), `${process.pid}\n`)
  } catch (error) {
    lock.close()
    throw error
  }
  const watch = await watchFolder(home)
  return {
    vanished: watch.vanished,
    leave: async () => {
      await watch.stop()
      await rm(join(home, pidPath), { force: true })
      lock.close()
    }
  }
}

/** The socket's file is removed below the working directory, which may have been changed meanwhile. */
export const releaseSocket = (home: string, close: () => void): void => {
  try {
    process.chdir(home)
  } catch {}
  close()
}

const socketPath = "run/edge.sock"
const pidPath = "run/edge.pid"
const tokenPath = "run/edge.lock"

/** Milliseconds that an edge which is ending has to give its home up. */
const patienceMs = 20_000

const held = (home: string): HomeIsHeld =>
  new HomeIsHeld(`another edge is running on ${home}; stop it first (its pid is in ${pidPath})`)

/**
 * A name in the abstract socket namespace is taken by one process only and is free again the moment
 * that one is gone, however it went. Files alone can't do that.
 */
const takeLock = async (home: string): Promise<Server> => {
  const lock = createServer((socket) => socket.destroy())
  if (process.platform !== "linux") return lock
  const { dev, ino } = await stat(home)
  // The token keeps others from guessing the name; the folder's number tells a copied home apart.
  const name = `\0deploy-mcp-edge-${await readToken()}-${dev}-${ino}`
  const deadline = performance.now() + patienceMs
  for (;;) {
    const failure = await listen(lock, name)
    if (failure === null) return lock
    if (failure.code !== "EADDRINUSE") throw failure
    process.chdir(home)
    if (performance.now() > deadline || (await answers(socketPath))) throw held(home)
    await setTimeout(50)
  }
}

/** Made once: of two that make it at the same time, the first link wins. */
const readToken = async (): Promise<string> => {
  const token = randomBytes(16).toString("hex")
  const draft = `${tokenPath}.${token}`
  await writeFile(draft, token, { mode: 0o600 })
  await link(draft, tokenPath).catch(() => {})
  await rm(draft, { force: true })
  return await readFile(tokenPath, "utf8")
}

const listen = (server: Server, path: string): Promise<NodeJS.ErrnoException | null> => {
  const { promise, resolve } = Promise.withResolvers<NodeJS.ErrnoException | null>()
  server.once("error", resolve)
  server.listen(path, () => {
    server.off("error", resolve)
    resolve(null)
  })
  return promise
}

const answers = (path: string): Promise<boolean> => {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(path)
  socket.once("connect", () => resolve(true))
  // A full backlog is a sign of life too.
  socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "EAGAIN"))
  return promise.finally(() => socket.destroy())
}

const watchFolder = async (path: string) => {
  // Held open, so that a folder made anew can't have the same number.
  const handle = await open(path, "r")
  const { dev, ino } = await handle.stat()
  const { promise: vanished, resolve } = Promise.withResolvers<void>()
  const timer = setInterval(async () => {
    const now = await stat(path).catch(() => null)
    if (now === null || now.ino !== ino || now.dev !== dev) resolve()
  }, 1_000)
  return {
    vanished,
    stop: async () => {
      clearInterval(timer)
      await handle.close()
    }
  }
}
