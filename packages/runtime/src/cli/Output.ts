/** How the command line speaks: results on stdout, progress beside them, colour for people only. */
import { styleText } from "node:util"
import type { Failure } from "@deploy-mcp/domain/Failure"
import { Console, Effect } from "effect"
import { root } from "./Root.ts"

type Style = Parameters<typeof styleText>[0]

/** Colour on a terminal only, and never where NO_COLOR is set. */
export const paint = (style: Style, text: string): string =>
  process.env.NO_COLOR === undefined || process.env.NO_COLOR === ""
    ? styleText(style, text, { stream: process.stdout })
    : text

/** The command's result: `value` for programs with --json, else `lines` for people. */
export const finish = (value: unknown, lines: ReadonlyArray<string>) =>
  Effect.flatMap(root, ({ json }) => {
    const text = json ? JSON.stringify(value, null, 2) : lines.join("\n")
    return text === "" ? Effect.void : Console.log(text)
  })

/** A line while it happens. With --json stdout belongs to the result. */
export const tell = (line: string) =>
  Effect.flatMap(root, ({ json }) => (json ? Console.error(line) : Console.log(line)))

/** A catalogue entry, as people read it. */
export const failureLines = (failure: Failure): ReadonlyArray<string> => [
  `${paint(["red", "bold"], `✗ ${failure.code}`)}  ${plain(failure.cause)}`,
  ...failure.evidence.map((line) => paint("dim", `  │ ${plain(line)}`)),
  `${paint("bold", "  next:")} ${plain(failure.next)}`
]

/** Tenants' text must not steer the terminal: control characters become visible. */
export const plain = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}]/gu, (character) =>
    character === "\t" ? "  " : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
  )

/** Columns as wide as their widest cell; the last one is not padded. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0))
  )
  return rows.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join("  ")
      .trimEnd()
  )
}
