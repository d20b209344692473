/** TOOLS.md: the tools as people read them. Written by its test, never by hand. */
import { allTools } from "./Catalog.ts"
import type { Tool } from "./Tool.ts"
import type { JsonSchema } from "./ToolSchema.ts"

export const renderTools = (): string =>
  [
    "# Tools",
    "",
    "Agents call these over MCP at `/mcp`; programs as `POST /api/v1/<name>` with the arguments as JSON and the",
    "same key. `GET /api/v1/services/<name>/logs` streams a service's lines as NDJSON, with `tail`, `contains`,",
    "`since` and `follow=true` as its query. This page is generated from the tools: `npm run docs`.",
    "",
    ...allTools.flatMap(section)
  ].join("\n")

const section = (tool: Tool): ReadonlyArray<string> => [
  `## ${tool.name}`,
  "",
  tool.description,
  "",
  ...facts(tool),
  "",
  ...parameters(tool),
  `Answers: ${Object.keys(tool.outputSchema.properties)
    .map((name) => `\`${name}\``)
    .join(", ")}`,
  ""
]

const facts = ({ toolset, scope, hints }: Tool) => {
  const traits = [
    hints.readOnly ? "reads only" : "writes",
    ...(hints.destructive ? ["destructive"] : []),
    ...(hints.idempotent ? ["safe to repeat"] : [])
  ]
  return [
    `Scope: ${scope === null ? "any key" : `\`${scope}\``} · ${traits.join(", ")}${toolset === "keys" ? " · only with `?toolsets=keys`, or over HTTP" : ""}`
  ]
}

const parameters = ({ inputSchema: { properties, required = [] } }: Tool) => {
  const names = Object.keys(properties)
  if (names.length === 0) return ["No arguments.", ""]
  return [
    ...names.map((name) => {
      const schema = properties[name] ?? {}
      const needed = required.includes(name) ? ", required" : ""
      return `- \`${name}\` (${typeOf(schema)}${needed}): ${String(schema.description ?? "")}`
    }),
    ""
  ]
}

const typeOf = (schema: JsonSchema): string => {
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => `\`${value}\``).join(", ")
  if (Array.isArray(schema.anyOf)) return "number or string"
  const { minimum, maximum } = schema
  return minimum === undefined ? String(schema.type) : `${schema.type}, ${minimum} to ${maximum}`
}
