/** The files of a tar archive, gzipped or not. Only files and folders are taken. */
import { gunzipSync } from "node:zlib"
import { type CommandError, refuse } from "@deploy-mcp/domain/Failure"
import type { CommitFile } from "@deploy-mcp/domain/Git"
import { FilePath } from "@deploy-mcp/domain/model/Names"
import { Effect, Schema } from "effect"

export const maxUnpacked = 64 * 1024 * 1024

export const filesOf = Effect.fnUntraced(function* (
  archive: Uint8Array
): Effect.fn.Return<ReadonlyArray<CommitFile>, CommandError> {
  const bytes = yield* unpack(archive)
  const files: Array<CommitFile> = []
  let longName: string | null = null
  for (let at = 0; at + block <= bytes.length; ) {
    const header = bytes.subarray(at, at + block)
    if (header.every((byte) => byte === 0)) break
    const size = octal(header, 124, 12)
    if (Number.isNaN(size) || !isHeader(header)) return yield* damaged
    const content = bytes.subarray(at + block, at + block + size)
    if (content.length < size) return yield* damaged
    at += block + Math.ceil(size / block) * block
    const kind = String.fromCharCode(header[156] ?? 0)
    if (kind === "x") longName = paxPath(content) ?? longName
    else if (kind === "L") longName = text(content)
    else if (kind !== "g") {
      const path: string = (longName ?? nameOf(header)).replace(/^(\.\/)+/u, "")
      longName = null
      if (kind === "5" || path === "" || path === ".") continue
      if (kind !== "0" && kind !== "\0") {
        return yield* refuse("invalid_argument", "tarball: it holds links or devices.", {
          next: "Send plain files and folders only, e.g. made with tar --dereference."
        })
      }
      if (!isFilePath(path)) {
        return yield* refuse("invalid_argument", "tarball: a path in it is not allowed.", {
          next: "Use relative paths without '..' and leave .git out, e.g. tar --exclude=.git."
        })
      }
      files.push({ path, content, executable: (octal(header, 100, 8) & 0o111) !== 0 })
    }
  }
  return files
})

const block = 512
const isFilePath = Schema.is(FilePath)
const damaged = refuse("invalid_argument", "tarball: it is not a tar archive, or is cut off.", {
  next: "Send the base64 of a .tar or .tar.gz, e.g. of: tar -czf - --exclude=.git ."
})

const unpack = (archive: Uint8Array) =>
  archive[0] === 0x1f && archive[1] === 0x8b
    ? Effect.try({
        try: () => gunzipSync(archive, { maxOutputLength: maxUnpacked }),
        catch: (cause) =>
          cause instanceof RangeError
            ? refuse("request_too_large", `tarball: more than ${maxUnpacked} bytes unpacked.`)
            : damaged
      })
    : Effect.succeed(Buffer.from(archive))

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8").replace(/\0.*$/su, "")

const field = (header: Uint8Array, from: number, length: number) =>
  text(header.subarray(from, from + length))

const octal = (header: Uint8Array, from: number, length: number) =>
  Number.parseInt(field(header, from, length).trim() || "0", 8)

/** Its checksum counts its own eight bytes as spaces. */
const isHeader = (header: Uint8Array) =>
  header.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 32 : byte), 0) ===
  octal(header, 148, 8)

const nameOf = (header: Uint8Array) => {
  const prefix = field(header, 257, 5) === "ustar" ? field(header, 345, 155) : ""
  return prefix === "" ? field(header, 0, 100) : `${prefix}/${field(header, 0, 100)}`
}

/** Records are `<length> <key>=<value>\n`. */
const paxPath = (content: Uint8Array) => /(?:^|\n)\d+ path=([^\n]*)\n/u.exec(text(content))?.[1]
