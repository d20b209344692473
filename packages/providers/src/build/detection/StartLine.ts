/**
 * The command line that starts a Node project without npm in between: npm costs 150 ms and a
 * process that stays, and swallows signals.
 */

/** `npm start`, `pnpm run x` and their kind, in a start command or inside another script. */
const npmRun = /^(?:npm|pnpm|yarn|bun)\s+(?:run(?:-script)?\s+([A-Za-z0-9:_.-]+)|start)$/u

/** Words without any character that means something to a shell. */
const plain = /^[A-Za-z0-9_@%+=:,./-]+(?:\s+[A-Za-z0-9_@%+=:,./-]+)*$/u
const builtin =
  /^(?:cd|\.|source|export|set|unset|exec|eval|exit|trap|ulimit|umask|wait|read|alias)$/u

/** Scripts that call each other deeper than this are run as they stand. */
const maxDepth = 5

interface Line {
  /** For `/bin/sh -c`, in the project's directory. */
  readonly line: string
  /** First word of what runs in the end, when that is plain to see, e.g. `node` or `next`. */
  readonly program: string | null
}

export const startLine = (
  command: string,
  scripts: Readonly<Record<string, string>>,
  depth = 0
): Line => {
  const text = command.trim()
  const run = npmRun.exec(text)
  const name = run?.[1] ?? "start"
  const script = run === null ? undefined : own(scripts, name)
  if (script !== undefined && depth < maxDepth) return scriptLine(name, script, scripts, depth)
  if (!plain.test(text)) return { line: binPath + text, program: null }
  const words = text.split(/\s+/u)
  const first = words.findIndex((word) => !/^[A-Za-z_][A-Za-z0-9_]*=/u.test(word))
  const program = words[first]
  if (program === undefined || builtin.test(program)) return { line: binPath + text, program: null }
  const exec = `exec ${first > 0 ? "env " : ""}${words.join(" ")}`
  return { line: program === "node" ? exec : binPath + exec, program }
}

/** Programs of dependencies, as npm offers them to scripts. */
const binPath = 'export PATH="$PWD/node_modules/.bin:$PATH"; '

/** npm runs `prestart` before `start`; nothing runs after a service. */
const scriptLine = (
  name: string,
  script: string,
  scripts: Readonly<Record<string, string>>,
  depth: number
): Line => {
  const main = startLine(script, scripts, depth + 1)
  const before = own(scripts, `pre${name}`)
  return before === undefined ? main : { ...main, line: `${binPath}(${before}) && ${main.line}` }
}

const own = (scripts: Readonly<Record<string, string>>, name: string): string | undefined =>
  Object.hasOwn(scripts, name) ? scripts[name] : undefined
