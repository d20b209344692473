/**
 * What a container printed, as the engine sends it: frames of `[stream, 0, 0, 0, length]` and a
 * text that begins with its time (Engine API, "attach", stream format). Lines over 16 KiB come in
 * several frames, of which only the last one ends in a newline.
 */
import { maxLineLength } from "@deploy-mcp/domain/model/LogLine"
import { Stream } from "effect"

export interface Printed {
  /** Nanoseconds since 1970. */
  readonly at: bigint
  readonly stream: "stdout" | "stderr"
  readonly text: string
}

const headerLength = 8

export const lines = <E>(frames: Stream.Stream<Uint8Array, E>): Stream.Stream<Printed, E> =>
  Stream.suspend(() => {
    let rest: Buffer = Buffer.alloc(0)
    const unfinished = { stdout: false, stderr: false }
    const take = (chunk: Uint8Array): Array<Printed> => {
      rest = Buffer.concat([rest, chunk])
      const found: Array<Printed> = []
      while (rest.length >= headerLength) {
        const end = headerLength + rest.readUInt32BE(4)
        if (rest.length < end) break
        const stream = rest[0] === 2 ? "stderr" : "stdout"
        const text = rest.toString("utf8", headerLength, end)
        rest = rest.subarray(end)
        // The beginning of a long line is longer than what is shown of it.
        if (!unfinished[stream]) found.push(printed(stream, text))
        unfinished[stream] = !text.endsWith("\n")
      }
      return found
    }
    return Stream.flatMap(frames, (chunk) => Stream.fromIterable(take(chunk)))
  })

const printed = (stream: Printed["stream"], frame: string): Printed => {
  const at = frame.indexOf(" ")
  const text = frame.slice(at + 1).replace(/\r?\n$/u, "")
  return {
    at: nanoseconds(frame.slice(0, at)),
    stream,
    text: text.length > maxLineLength ? `${text.slice(0, maxLineLength - 1)}…` : text
  }
}

/** `2026-01-02T03:04:05.123456789Z`: more digits than a date holds. */
export const nanoseconds = (time: string): bigint => {
  const [, seconds = "", fraction = ""] = /^([^.Z]+)(?:\.(\d+))?Z$/u.exec(time) ?? []
  const whole = Date.parse(`${seconds}Z`)
  return Number.isNaN(whole)
    ? 0n
    : BigInt(whole) * 1_000_000n + BigInt(fraction.padEnd(9, "0").slice(0, 9))
}

/** As the engine takes a time: seconds with a fraction. */
export const secondsText = (time: bigint): string =>
  `${time / 1_000_000_000n}.${String(time % 1_000_000_000n).padStart(9, "0")}`
