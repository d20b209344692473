/**
 * Seals bytes to a node's X25519 key: an ephemeral key agreement, HKDF-SHA-256 and AES-256-GCM
 * (the construction of RFC 9180's base mode, without its suite negotiation). Only that node can
 * open the result, so it may lie on a disk or in a message.
 */

const subtle = globalThis.crypto.subtle
const encode = (bytes: Uint8Array): string =>
  bytes.toBase64({ alphabet: "base64url", omitPadding: true })
const decode = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.fromBase64(text, { alphabet: "base64url" })
const info = new TextEncoder().encode("deploy-mcp node variables v1")

/** A new key pair: the public half raw, the private half as PKCS #8, both base64url. */
export const generateNodeKey = async (): Promise<{ publicKey: string; privateKey: string }> => {
  const pair = (await subtle.generateKey({ name: "X25519" } as { name: string }, true, [
    "deriveBits"
  ])) as { readonly publicKey: CryptoKey; readonly privateKey: CryptoKey }
  return {
    publicKey: encode(new Uint8Array(await subtle.exportKey("raw", pair.publicKey))),
    privateKey: encode(new Uint8Array(await subtle.exportKey("pkcs8", pair.privateKey)))
  }
}

/** `v1.<ephemeral public key>.<nonce>.<ciphertext>` */
export const sealTo = async (publicKey: string, plaintext: string): Promise<string> => {
  const ephemeral = await generateNodeKey()
  const key = await sharedKey(ephemeral.privateKey, publicKey, ephemeral.publicKey, publicKey)
  const nonce = globalThis.crypto.getRandomValues(new Uint8Array(12))
  const sealed = await subtle.encrypt(
    { name: "AES-GCM", iv: nonce },
    key,
    new TextEncoder().encode(plaintext)
  )
  return ["v1", ephemeral.publicKey, encode(nonce), encode(new Uint8Array(sealed))].join(".")
}

/** Rejects when the box was sealed to another key or was changed. */
export const openWith = async (
  node: { readonly publicKey: string; readonly privateKey: string },
  box: string
): Promise<string> => {
  const [version, ephemeral, nonce, sealed] = box.split(".")
  if (version !== "v1" || !ephemeral || !nonce || !sealed)
    throw new Error("not a sealed box of version 1")
  const key = await sharedKey(node.privateKey, ephemeral, ephemeral, node.publicKey)
  const plaintext = await subtle.decrypt(
    { name: "AES-GCM", iv: decode(nonce) },
    key,
    decode(sealed)
  )
  return new TextDecoder().decode(plaintext)
}

const sharedKey = async (mine: string, theirs: string, ephemeral: string, recipient: string) => {
  const bits = await subtle.deriveBits(
    {
      name: "X25519",
      public: await subtle.importKey("raw", decode(theirs), { name: "X25519" }, false, [])
    },
    await subtle.importKey("pkcs8", decode(mine), { name: "X25519" }, false, ["deriveBits"]),
    256
  )
  const salt = new TextEncoder().encode(`${ephemeral}.${recipient}`)
  const base = await subtle.importKey("raw", bits, "HKDF", false, ["deriveKey"])
  return await subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt, info },
    base,
    { name: "AES-GCM", length: 256 },
    false,
    ["encrypt", "decrypt"]
  )
}
