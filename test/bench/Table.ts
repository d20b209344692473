/** Rows as people read them. */
import type { Budget, Row } from "./Numbers.ts"

const columns = ["what", "n", "ours p50", "ours p95", "floor p50", "ratio", "budget", "ok", "cpu"]

export const table = (rows: ReadonlyArray<Row>): string =>
  align([
    columns,
    ...rows.map((row) => [
      row.what,
      String(row.ours.n),
      value(row.ours.p50, row.unit),
      value(row.ours.p95, row.unit),
      row.floor === null ? "" : value(row.floor.p50, row.unit),
      row.ratio === null ? "" : `${row.ratio.toFixed(2)} ×`,
      budgetText(row.budget, row.unit),
      row.ok ? "yes" : row.budget.informational ? "(no)" : "NO",
      row.cpu === null ? "" : `${row.cpu.own.toFixed(1)} + ${row.cpu.children.toFixed(1)} ms`
    ])
  ])

/** Where the time goes, and what the floor does. */
export const partsTable = (rows: ReadonlyArray<Row>): string =>
  [
    ...rows.map((row) => {
      const parts = Object.entries(row.parts).map(([name, ms]) => `${name} ${short(ms)}`)
      const more = parts.length === 0 ? "" : `\n    ${parts.join(" · ")}`
      return `${row.what}: floor = ${row.floorIs}; best ${value(row.ours.min, row.unit)}${
        row.floor === null ? "" : ` and ${value(row.floor.min, row.unit)}`
      }, p99 ${value(row.ours.p99, row.unit)}${more}`
    }),
    "",
    "cpu: control and edge + their ended children, for one operation."
  ].join("\n")

const value = (number: number, unit: Row["unit"]): string => `${short(number)} ${unit}`

const short = (number: number): string =>
  number >= 1000
    ? String(Math.round(number))
    : number.toFixed(number < 10 ? 2 : number < 100 ? 1 : 0)

const budgetText = (budget: Budget, unit: Row["unit"]): string =>
  [
    ...(["p50", "p95", "p99"] as const).flatMap((name) =>
      budget[name] === undefined ? [] : [`${name} ≤ ${budget[name]} ${unit}`]
    ),
    ...(budget.ratio === undefined ? [] : [`≤ ${budget.ratio} × floor`]),
    ...(budget.ratioOfP95 === undefined ? [] : [`p95 ≤ ${budget.ratioOfP95} × floor's`]),
    ...(budget.ratioAtLeast === undefined ? [] : [`≥ ${budget.ratioAtLeast} × floor`])
  ].join(", ")

const align = (lines: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = columns.map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? "").length))
  )
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          column === 0 || column >= 6
            ? cell.padEnd(widths[column] ?? 0)
            : cell.padStart(widths[column] ?? 0)
        )
        .join("  ")
        .trimEnd()
    )
    .join("\n")
}
