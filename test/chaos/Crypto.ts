/**
 * Web Crypto answers from threads, at moments that no seed decides. While one of its calls is under way
 * a simulation stands still, so that the answer always comes at the same point.
 */

let underWay = 0
let installed = false

const watched = ["generateKey", "exportKey", "importKey", "deriveBits", "deriveKey", "encrypt"]

/** Begins to count; for good, since modules keep the object that is counted on. */
export const watchCrypto = (): void => {
  if (installed) return
  installed = true
  const subtle = globalThis.crypto.subtle
  for (const name of watched) {
    const real: unknown = Reflect.get(subtle, name)
    if (typeof real !== "function") continue
    const counted = (...args: ReadonlyArray<unknown>): unknown => {
      underWay += 1
      const answer: Promise<unknown> = Reflect.apply(real, subtle, args)
      return answer.finally(() => {
        underWay -= 1
      })
    }
    Object.defineProperty(subtle, name, { value: counted, configurable: true })
  }
}

export const cryptoIsUnderWay = (): boolean => underWay > 0

/** What is settled by now has run on when this resolves. */
export const afterPromises = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
