/** The known names that someone probably meant, best first, at most three. */
export const nearest = (name: string, known: ReadonlyArray<string>): ReadonlyArray<string> => {
  const given = name.slice(0, 60).toLowerCase()
  return known
    .map((candidate) => ({ candidate, distance: distance(given, candidate.toLowerCase()) }))
    .filter(
      ({ candidate, distance: steps }) =>
        steps <= Math.max(2, Math.floor(candidate.length / 3)) ||
        (given.length > 2 && (candidate.includes(given) || given.includes(candidate)))
    )
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ candidate }) => candidate)
}

/** Levenshtein's. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
