/** Other processes of this project's Node.js, which end with this one. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { text } from "node:stream/consumers"

/** What one prints, and how it ends; what it complains of goes where our complaints go. */
export const run = async (args: ReadonlyArray<string>) => {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] })
  const end = () => void child.kill()
  process.once("exit", end)
  try {
    const ended = once(child, "exit")
    const output = await text(child.stdout)
    const [code]: Array<number | null> = await ended
    return { code, output }
  } finally {
    process.off("exit", end)
  }
}
