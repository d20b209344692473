/** What BuildKit tells about a build, line by line, as `buildx build --progress=rawjson` prints it. */
import { Option, Schema } from "effect"

const Told = Schema.fromJsonString(
  Schema.Struct({
    vertexes: Schema.optionalKey(
      Schema.Array(
        Schema.Struct({
          digest: Schema.String,
          name: Schema.optionalKey(Schema.String),
          started: Schema.optionalKey(Schema.String),
          cached: Schema.optionalKey(Schema.Boolean),
          error: Schema.optionalKey(Schema.String)
        })
      )
    ),
    logs: Schema.optionalKey(
      Schema.Array(Schema.Struct({ stream: Schema.Int, data: Schema.Uint8ArrayFromBase64 }))
    )
  })
)

export type Progress =
  /** `name` is an instruction with its place in front, or something of BuildKit's own. */
  | { readonly type: "started"; readonly name: string; readonly cached: boolean }
  | { readonly type: "failed"; readonly name: string; readonly error: string }
  | { readonly type: "output"; readonly stream: "stdout" | "stderr"; readonly text: string }
  /** What buildx itself says, in the end why it gave up. */
  | { readonly type: "said"; readonly text: string }

/** A function of lines: each vertex is told many times, and is passed on once. */
export const reader = (): ((line: string) => ReadonlyArray<Progress>) => {
  const names = new Map<string, string>()
  const begun = new Set<string>()
  const failed = new Set<string>()
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() }
  const once = (seen: Set<string>, digest: string) => !seen.has(digest) && seen.add(digest).size > 0
  return (line) => {
    if (!line.startsWith("{")) return line.trim() === "" ? [] : [{ type: "said", text: line }]
    const told = Option.getOrElse(Schema.decodeOption(Told)(line), () => ({}) as typeof Told.Type)
    const vertexes = (told.vertexes ?? []).flatMap((vertex): ReadonlyArray<Progress> => {
      const { digest, cached = false, error = "" } = vertex
      if (vertex.name !== undefined) names.set(digest, vertex.name)
      const name = names.get(digest) ?? ""
      return [
        ...(vertex.started !== undefined && once(begun, digest)
          ? [{ type: "started" as const, name, cached }]
          : []),
        ...(error !== "" && once(failed, digest) ? [{ type: "failed" as const, name, error }] : [])
      ]
    })
    const logs = (told.logs ?? []).map(({ stream, data }): Progress => {
      const to = stream === 2 ? "stderr" : "stdout"
      return { type: "output", stream: to, text: decoders[to].decode(data, { stream: true }) }
    })
    return [...vertexes, ...logs]
  }
}
