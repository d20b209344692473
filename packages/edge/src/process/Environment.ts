/** What a process finds in its environment: the platform's words, then the owner's, then ours again. */
export interface EnvironmentRequest {
  /** Null: it listens for nobody. */
  readonly port: number | null
  readonly home: string
  readonly temporary: string
  /** Directories in front of PATH. */
  readonly path: ReadonlyArray<string>
  readonly variables: Readonly<Record<string, string>>
}

export const environmentOf = (request: EnvironmentRequest): Record<string, string> => ({
  HOST: "0.0.0.0",
  NODE_ENV: "production",
  LANG: "C.UTF-8",
  ...withoutPort(request.variables),
  ...(request.port === null ? {} : { PORT: String(request.port) }),
  HOME: request.home,
  TMPDIR: request.temporary,
  PATH: [...request.path, "/usr/local/bin", "/usr/bin", "/bin"].join(":")
})

/** Whoever finds a PORT listens on it: only ours is one that somebody asks at. */
const withoutPort = ({ PORT: _, ...rest }: EnvironmentRequest["variables"]) => rest

/** Assignments for a shell, with names that a shell can't hold left out. */
export const shellAssignments = (variables: Readonly<Record<string, string>>): string =>
  Object.entries(variables)
    .filter(([name]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    .map(([name, value]) => `export ${name}=${shellQuote(value)}\n`)
    .join("")

export const shellQuote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
