/** Somebody's checkout, with the real git and without any configuration of this machine. */
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"

export type Files = Readonly<Record<string, string>>

export interface Pushed {
  readonly code: number
  /** What the platform said, line by line, without git's `remote: `. */
  readonly lines: ReadonlyArray<string>
  /** All of standard error. */
  readonly output: string
}

export interface WorkTree {
  readonly directory: string
  /** Writes files and commits everything; answers the commit. */
  readonly commit: (files: Files) => Promise<string>
  /** Fails only when git can't be run. `onLine` hears the platform while it speaks. */
  readonly push: (url: string, refspec?: string, onLine?: (line: string) => void) => Promise<Pushed>
  readonly git: (...args: ReadonlyArray<string>) => Promise<Pushed & { readonly stdout: string }>
}

/** A new repository below `folder`, on branch main. */
export const makeWorkTree = async (folder: string): Promise<WorkTree> => {
  const directory = mkdtempSync(join(folder, "tree-"))
  const git = (...args: ReadonlyArray<string>) => run(directory, args)
  const must = async (...args: ReadonlyArray<string>) => {
    const done = await git(...args)
    if (done.code !== 0) throw new Error(`git ${args.join(" ")}: ${done.output}`)
    return done.stdout.trim()
  }
  await must("init", "--quiet", "--initial-branch=main")
  return {
    directory,
    git,
    commit: async (files) => {
      await must("rm", "-r", "--quiet", "--force", "--ignore-unmatch", ".")
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(dirname(join(directory, name)), { recursive: true })
        writeFileSync(join(directory, name), text)
      }
      await must("add", "--all")
      await must("commit", "--quiet", "--allow-empty", "--message", "change")
      return must("rev-parse", "HEAD")
    },
    push: (url, refspec = "HEAD:main", onLine) =>
      run(directory, ["push", "--force", url, refspec], onLine)
  }
}

export const removeWorkTree = ({ directory }: WorkTree): void =>
  rmSync(directory, { recursive: true, force: true })

const run = (
  cwd: string,
  args: ReadonlyArray<string>,
  onLine: (line: string) => void = () => {}
): Promise<Pushed & { readonly stdout: string }> =>
  new Promise((resolve, reject) => {
    const child = spawn("git", args, {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env.PATH,
        HOME: cwd,
        LC_ALL: "C",
        GIT_CONFIG_NOSYSTEM: "1",
        GIT_CONFIG_GLOBAL: "/dev/null",
        GIT_TERMINAL_PROMPT: "0",
        GIT_AUTHOR_NAME: "Somebody",
        GIT_AUTHOR_EMAIL: "somebody@example.com",
        GIT_COMMITTER_NAME: "Somebody",
        GIT_COMMITTER_EMAIL: "somebody@example.com"
      }
    })
    let stdout = ""
    const output: Array<string> = []
    const lines: Array<string> = []
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text
    })
    createInterface({ input: child.stderr }).on("line", (raw) => {
      output.push(raw)
      const line = /^remote: (.*?)\s*$/u.exec(raw)?.[1]
      if (line === undefined) return
      lines.push(line)
      onLine(line)
    })
    child.on("error", reject)
    child.on("close", (code) =>
      resolve({ code: code ?? -1, stdout, lines, output: output.join("\n") })
    )
  })
