/**
 * What clients are told about arguments and answers. Arguments in full; answers as an outline, since
 * models read the answer itself and every token of a tool list is paid for in each conversation.
 */
import { Schema } from "effect"

export interface ObjectSchema {
  readonly type: "object"
  readonly properties: { readonly [name: string]: JsonSchema }
  readonly required?: ReadonlyArray<string>
  readonly additionalProperties?: boolean
}
export type JsonSchema = { readonly [key: string]: Schema.MutableJson }

/**
 * Unknown fields are refused, so the schema says so. Patterns stay with us: several clients choke on
 * look-around, and the descriptions say the rule in words.
 */
export const advertiseInput = <const Fields extends Schema.Struct.Fields>(
  input: Schema.Struct<Fields>
): ObjectSchema => {
  const { properties, required } = parts(input)
  return {
    type: "object",
    properties: Object.fromEntries(
      Object.entries(properties).map(([name, schema]) => {
        const description = input.fields[name] && describe(input.fields[name])
        return [name, { ...schema, ...(description === undefined ? {} : { description }) }]
      })
    ),
    ...(required.length > 0 ? { required } : {}),
    additionalProperties: false
  }
}

/**
 * The names of the answer's fields, and the values of those that have few. Nothing is required: a plan
 * has none of them. `truncated` and `narrow` may be added to any answer that is too long.
 */
export const advertiseOutput = (output: Schema.Top): ObjectSchema => ({
  type: "object",
  properties: Object.fromEntries(
    Object.entries(parts(output).properties).map(([name, { enum: values }]) => [
      name,
      Array.isArray(values) ? { enum: values } : {}
    ])
  )
})

/** What a field's author wrote about it, wherever in the schema it stands. */
export const describe = (field: Schema.Constraint): string | undefined => {
  const description = Schema.resolveAnnotations(field)?.description
  return typeof description === "string" ? description : undefined
}

const parts = (schema: Schema.Top) => {
  const document = Schema.toJsonSchemaDocument(Schema.toCodecJson(schema))
  const root = inline(document.schema, record(document.definitions))
  return {
    properties: objectOf(root.properties),
    required: Array.isArray(root.required) ? root.required.map(String) : []
  }
}

/** References replaced by what they name, and without keywords that restate the default. */
const inline = (schema: unknown, definitions: JsonSchema): JsonSchema => {
  const given = record(schema)
  if (typeof given.$ref === "string") {
    return inline(definitions[given.$ref.replace("#/$defs/", "")], definitions)
  }
  return Object.fromEntries(
    Object.entries(given)
      .filter(([key, value]) => !isDefault(key, value))
      .map(([key, value]) => {
        if (Array.isArray(value) && (key === "anyOf" || key === "allOf")) {
          return [key, value.map((each) => inline(each, definitions))]
        }
        if (key === "properties" || key === "patternProperties") {
          return [
            key,
            Object.fromEntries(
              Object.entries(record(value)).map(([name, each]) => [name, inline(each, definitions)])
            )
          ]
        }
        if (key === "items" || key === "additionalProperties") {
          return [key, typeof value === "object" ? inline(value, definitions) : value]
        }
        return [key, value]
      })
  )
}

const isDefault = (key: string, value: unknown) =>
  (key === "additionalProperties" && value === true) ||
  (key === "minimum" && value === Number.MIN_SAFE_INTEGER) ||
  (key === "maximum" && value === Number.MAX_SAFE_INTEGER) ||
  key === "minLength" ||
  key === "pattern" ||
  key === "maxLength"

const record = (value: unknown): JsonSchema => ({ ...(typeof value === "object" ? value : {}) })

const objectOf = (value: unknown): { readonly [name: string]: JsonSchema } =>
  Object.fromEntries(Object.entries(record(value)).map(([name, each]) => [name, record(each)]))
