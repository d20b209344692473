/** The one edge of a home: it holds the control socket, says so in a pid file, and leaves when the home is gone. */
import { randomBytes } from "node:crypto"
import { chmod, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises"
import { connect, type Server } from "node:net"
import { join } from "node:path"
import { writeAtomic } from "./AtomicFile.ts"

export interface Home {
  /** Resolves when the folder is not there any more, or is another one. */
  readonly vanished: Promise<void>
  /** Gives up the pid file and the watch; the socket's file goes with its server. */
  readonly leave: () => Promise<void>
}

/** Another edge is alive on this home. */
export class HomeIsHeld extends Error {}

/** Binds `server` to the home's control socket. Rejects with HomeIsHeld when a living edge has it. */
export const claimHome = async (home: string, server: Server): Promise<Home> => {
  // A unix socket's path has room for 107 bytes: it is bound by its name below the home.
  process.chdir(home)
  await mkdir("run", { recursive: true, mode: 0o700 })
  await chmod("run", 0o700)
  await bind(server, home)
  await chmod(socketPath, 0o600)
  await writeAtomic(join(home, pidPath), `${process.pid}\n`)
  const watch = await watchFolder(home)
  return {
    vanished: watch.vanished,
    leave: async () => {
      await watch.stop()
      const path = join(home, pidPath)
      const holder = await readFile(path, "utf8").catch(() => "")
      if (holder.trim() === String(process.pid)) await rm(path, { force: true })
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

const bind = async (server: Server, home: string): Promise<void> => {
  const failure = await listen(server)
  if (failure === null) return
  if (failure.code !== "EADDRINUSE") throw failure
  if (await answers(socketPath)) throw held(home)
  // Of two edges that both saw a dead socket, one could take the other's new one: look again at
  // what was really taken away.
  const aside = `${socketPath}.${randomBytes(4).toString("hex")}`
  await rename(socketPath, aside).catch(() => {})
  if (await answers(aside)) {
    await rename(aside, socketPath)
    throw held(home)
  }
  await rm(aside, { force: true })
  const again = await listen(server)
  if (again !== null) throw again.code === "EADDRINUSE" ? held(home) : again
}

const held = (home: string): HomeIsHeld =>
  new HomeIsHeld(`another edge is running on ${home}; stop it first (its pid is in ${pidPath})`)

const listen = (server: Server): Promise<NodeJS.ErrnoException | null> => {
  const { promise, resolve } = Promise.withResolvers<NodeJS.ErrnoException | null>()
  server.once("error", resolve)
  server.listen(socketPath, () => {
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
