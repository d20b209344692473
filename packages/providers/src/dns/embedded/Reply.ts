/** One message in, one message out: RFC 1035 with EDNS, RFC 6891. Not exported. */
import * as Packet from "dns-packet"
import { answer } from "./Answer.ts"
import type { StoredZone } from "./Zones.ts"

/** What passes every network without being cut into fragments. */
const largestUdp = 1232
const smallestUdp = 512

const codes = { NOERROR: 0, FORMERR: 1, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const
const aa = 0x0400
const tc = 0x0200
const rd = 0x0100

/** Null when nothing may be said: to a fragment, and to an answer, or two servers would talk for ever. */
export const reply = (
  zones: ReadonlyMap<string, StoredZone>,
  message: Buffer,
  transport: "udp" | "tcp"
): Buffer | null => {
  if (message.length < 12 || (message.readUInt8(2) & 0x80) !== 0) return null
  const frame = { type: "response", id: message.readUInt16BE(0) } as const
  const echoed = message.readUInt8(2) & 1 ? rd : 0
  const bare = (code: number) => Packet.encode({ ...frame, flags: echoed | code })
  if (((message.readUInt8(2) >> 3) & 15) !== 0) return bare(codes.NOTIMP)
  const query = decode(message)
  const question = query?.questions?.[0]
  if (query === null || question === undefined || query.questions?.length !== 1) {
    return bare(codes.FORMERR)
  }
  // Other bytes in a name would not survive the way through text.
  if (question.class !== "IN" || !/^[\x21-\x7e]+$/.test(question.name)) return bare(codes.REFUSED)
  const opt = query.additionals?.find((record) => record.type === "OPT")
  const additional = opt === undefined ? [] : [edns(opt.ednsVersion)]
  const head = { ...frame, questions: [question] }
  if (opt !== undefined && opt.ednsVersion !== 0) {
    return Packet.encode({ ...head, flags: echoed, additionals: additional })
  }
  const { code, authoritative, answers, authorities, additionals } = answer(zones, question)
  const flags = echoed | (authoritative ? aa : 0) | codes[code]
  const full = Packet.encode({
    ...head,
    flags,
    answers: [...answers],
    authorities: [...authorities],
    additionals: [...additionals, ...additional]
  })
  const wanted = opt?.udpPayloadSize ?? smallestUdp
  const limit = transport === "tcp" ? 65_535 : Math.min(largestUdp, Math.max(smallestUdp, wanted))
  return full.length <= limit
    ? full
    : Packet.encode({ ...head, flags: flags | tc, additionals: additional })
}

const decode = (message: Buffer): Packet.DecodedPacket | null => {
  try {
    return Packet.decode(message)
  } catch {
    return null
  }
}

/** Extended code 1 is the upper half of BADVERS. */
const edns = (version: number): Packet.Answer => ({
  type: "OPT",
  name: ".",
  udpPayloadSize: largestUdp,
  extendedRcode: version === 0 ? 0 : 1,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: []
})
