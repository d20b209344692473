/** Chance that follows from a seed: equal seeds and equal questions give equal answers, everywhere. */

export interface Chance {
  /** From 0 up to and without 1. */
  readonly real: () => number
  /** A whole number from 0 up to and without `below`. */
  readonly below: (below: number) => number
  /** True once in `1 / probability` times. */
  readonly happens: (probability: number) => boolean
  /** One of them; there must be one. */
  readonly pick: <A>(choices: readonly [A, ...ReadonlyArray<A>]) => A
  /** A stream of its own, so that what is asked there changes nothing here. */
  readonly fork: (name: string) => Chance
}

/** `seed` is any text; a number is one too. */
export const chanceOf = (seed: string | number): Chance => {
  let state = hash(String(seed))
  const real = () => {
    // Mulberry32: 32 bits of state are plenty for choices that a person is to follow.
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number) => Math.floor(real() * limit)
  return {
    real,
    below,
    happens: (probability) => real() < probability,
    pick: (choices) => choices[below(choices.length)] ?? choices[0],
    fork: (name) => chanceOf(`${seed}/${name}`)
  }
}

/** FNV-1a over UTF-16 units. */
const hash = (text: string): number => {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  }
  return value
}
