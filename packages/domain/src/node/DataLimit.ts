/** Memory without control groups: what each single process may allocate. */

/** MiB that a runtime reserves and never fills: Node 26 counts 560 of them before it does anything. */
const reserved = 640

/**
 * `command`, each of whose processes may allocate so many MiB; `prlimit` is that program's path. Address
 * space can't be limited instead: runtimes reserve far more of it than they use.
 */
export const withDataLimit = (
  prlimit: string,
  mebibytes: number,
  command: readonly [string, ...ReadonlyArray<string>]
): [string, ...Array<string>] => [
  prlimit,
  `--data=${(reserved + mebibytes) * 1024 ** 2}`,
  "--",
  ...command
]
