/** Which compressed forms a client takes (RFC 9110 §12.5.3), best first. */

export type Coding = "br" | "gzip"

export interface AcceptedCodings {
  /** Short and the same for the same list. */
  readonly id: string
  readonly codings: ReadonlyArray<Coding>
}

export const noCoding: AcceptedCodings = { id: "", codings: [] }

/** Of two that are equally welcome, Brotli comes first: it is smaller. */
export const acceptedCodings = (header: string | string[] | undefined): AcceptedCodings => {
  if (typeof header !== "string" || header === "") return noCoding
  const held = known.get(header)
  if (held !== undefined) return held
  const accepted = parse(header)
  // Clients send few different ones; somebody who tries many gets no memory for it.
  if (known.size < 64) known.set(header, accepted)
  return accepted
}

const known = new Map<string, AcceptedCodings>()

const parse = (header: string): AcceptedCodings => {
  const weights = new Map<string, number>()
  for (const part of header.toLowerCase().split(",")) {
    const [name = "", ...parameters] = part.split(";").map((text) => text.trim())
    const weight = parameters.find((text) => text.startsWith("q="))
    weights.set(
      name === "x-gzip" ? "gzip" : name,
      weight === undefined ? 1 : Number(weight.slice(2))
    )
  }
  const weightOf = (name: string): number => weights.get(name) ?? weights.get("*") ?? 0
  // Not named, identity is taken, but less gladly than whatever is named.
  const least = weights.get("identity") ?? 0
  const codings = (["br", "gzip"] as const)
    .filter((coding) => weightOf(coding) > 0 && weightOf(coding) >= least)
    .sort((a, b) => weightOf(b) - weightOf(a))
  return codings.length === 0 ? noCoding : { id: codings.join("+"), codings }
}
