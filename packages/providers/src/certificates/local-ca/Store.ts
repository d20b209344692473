/** Keys and certificates in files that their owner alone reads. Each file is there whole or not at all. */

import { createHash, createPrivateKey, randomUUID, X509Certificate } from "node:crypto"
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { type CertificateNames, sortedNames } from "@deploy-mcp/domain/Certificates"
import type { KeyPair } from "../Authority.ts"

export interface Store {
  /** Null when there is none yet; one that cannot be read is an error, because people trust it. */
  readonly root: () => KeyPair | null
  /** Does not replace one that another process has made meanwhile; answers with the one that is kept. */
  readonly addRoot: (root: KeyPair) => KeyPair
  readonly replaceRoot: (root: KeyPair) => KeyPair
  /** Null when there is none that can be used. */
  readonly leaf: (names: CertificateNames) => KeyPair | null
  readonly putLeaf: (names: CertificateNames, leaf: KeyPair) => void
  readonly removeLeaf: (names: CertificateNames) => void
}

export const open = (directory: string): Store => {
  const rootFile = join(directory, "root.pem")
  const leaves = join(directory, "leaves")
  const leafFile = (names: CertificateNames) =>
    join(leaves, `${createHash("sha256").update(sortedNames(names).join(" ")).digest("hex")}.pem`)

  const root = () => {
    if (!existsSync(rootFile)) return null
    chmodSync(rootFile, 0o600)
    const pair = parse(readFileSync(rootFile, "utf8"))
    // For people, who give it to their clients.
    const shown = join(directory, "root.crt")
    if (!existsSync(shown) || readFileSync(shown, "utf8") !== pair.certificate) {
      write(shown, pair.certificate, renameSync, 0o644)
    }
    return pair
  }
  const keepRoot = (pair: KeyPair, place: Placement) => {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    write(rootFile, pair.key + pair.certificate, place)
    return root() ?? pair
  }
  return {
    root,
    addRoot: (pair) => keepRoot(pair, linkUnlessThere),
    replaceRoot: (pair) => keepRoot(pair, renameSync),
    leaf: (names) => {
      const file = leafFile(names)
      if (!existsSync(file)) return null
      try {
        return parse(readFileSync(file, "utf8"))
      } catch {
        return null
      }
    },
    putLeaf: (names, { key, certificate }) => {
      mkdirSync(leaves, { recursive: true, mode: 0o700 })
      write(leafFile(names), key + certificate, renameSync)
    },
    removeLeaf: (names) => rmSync(leafFile(names), { force: true })
  }
}

type Placement = (draft: string, file: string) => void

const write = (file: string, text: string, place: Placement, mode = 0o600) => {
  const draft = `${file}.${randomUUID()}`
  try {
    writeFileSync(draft, text, { mode, flush: true })
    place(draft, file)
  } finally {
    rmSync(draft, { force: true })
  }
}

const linkUnlessThere = (draft: string, file: string) => {
  try {
    linkSync(draft, file)
  } catch (cause) {
    if (!existsSync(file)) throw cause
  }
}

/** Throws when either is damaged, or when they do not belong together. */
const parse = (text: string): KeyPair => {
  const [key = "", certificate = ""] = text.split(/(?=-----BEGIN CERTIFICATE-----)/u)
  if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) {
    throw new Error("the key is of another certificate")
  }
  return { key, certificate }
}
