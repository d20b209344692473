/** What services are to be run in on a node. Anything but `auto` holds or nothing is run. */
export const sandboxChoices = ["auto", "bubblewrap", "gvisor", "none"] as const

/** `auto`: bubblewrap where it works, else nothing; `none`: nothing. */
export type SandboxChoice = (typeof sandboxChoices)[number]

export const isSandboxChoice = (word: string): word is SandboxChoice =>
  sandboxChoices.some((choice) => choice === word)
