/** Passwords as Postgres keeps them, so that a statement that sets one does not hold it. RFC 5803. */
import { createHash, createHmac, pbkdf2Sync } from "node:crypto"

const iterations = 4096

/** `salt`: 16 random bytes. The password must be ASCII, which SASLprep (RFC 4013) leaves alone. */
export const verifier = (password: string, salt: Uint8Array): string => {
  const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256")
  const keyOf = (role: string) => createHmac("sha256", salted).update(role).digest()
  const storedKey = createHash("sha256").update(keyOf("Client Key")).digest("base64")
  const serverKey = keyOf("Server Key").toString("base64")
  return `SCRAM-SHA-256$${iterations}:${Buffer.from(salt).toString("base64")}$${storedKey}:${serverKey}`
}
