/** What a reader finds on a page: links, code spans, blocks. Fences and indented blocks alike. */

/** A run of lines that is shown as it is. */
export interface Block {
  /** What the fence names, e.g. `sh`; empty where there is none. */
  readonly language: string
  readonly lines: ReadonlyArray<string>
}

export const blocksOf = (page: string): ReadonlyArray<Block> =>
  [...page.matchAll(/^```(\w*)\n([\s\S]*?)^```$|(?<=\n\n)((?: {4}.*\n|\n(?= {4}))+)/gmu)].map(
    ([, language = "", fenced, indented = ""]) => ({
      language,
      lines: (fenced ?? indented.replaceAll(/^ {4}/gmu, ""))
        .split("\n")
        .filter((line) => line !== "")
    })
  )

/** The targets of links and pictures. */
export const linksOf = (page: string): ReadonlyArray<string> =>
  [...prose(page).matchAll(/\]\(([^)\s]+)\)/gu)].map(([, target = ""]) => target)

/** What stands between single backticks. */
export const spansOf = (page: string): ReadonlyArray<string> =>
  [...prose(page).matchAll(/`([^`]+)`/gu)].map(([, span = ""]) => span.replaceAll(/\s+/gu, " "))

const prose = (page: string): string => page.replaceAll(/^```[\s\S]*?^```$/gmu, "")
