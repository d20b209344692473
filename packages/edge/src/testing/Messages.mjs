// As much of WebSocket (RFC 6455) as a test needs: short text messages, answered with the name in front.
import { createHash } from "node:crypto"

export const acceptMessages = (request, socket, name) => {
  const key = request.headers["sec-websocket-key"]
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
      `Sec-WebSocket-Accept: ${accept.digest("base64")}\r\n\r\n`
  )
  socket.on("error", () => {})
  let rest = Buffer.alloc(0)
  socket.on("data", (chunk) => {
    rest = Buffer.concat([rest, chunk])
    for (let frame = take(rest); frame !== null; frame = take(rest)) {
      rest = rest.subarray(frame.length)
      if (frame.opcode === 8) socket.end(frameOf(8, frame.payload))
      else if (frame.opcode === 9) socket.write(frameOf(10, frame.payload))
      else if (frame.opcode === 1) {
        socket.write(frameOf(1, Buffer.from(`${name}: ${frame.payload}`)))
      }
    }
  })
}

const take = (bytes) => {
  if (bytes.length < 6) return null
  let size = bytes[1] & 127
  let at = 2
  if (size === 126) {
    size = bytes.readUInt16BE(2)
    at = 4
  }
  if (bytes.length < at + 4 + size) return null
  const mask = bytes.subarray(at, at + 4)
  const payload = bytes.subarray(at + 4, at + 4 + size).map((byte, index) => byte ^ mask[index % 4])
  return { opcode: bytes[0] & 15, payload: Buffer.from(payload), length: at + 4 + size }
}

const frameOf = (opcode, payload) => {
  const size = payload.length
  const head = size < 126 ? [size] : [126, size >> 8, size & 255]
  return Buffer.concat([Buffer.from([128 | opcode, ...head]), payload])
}
