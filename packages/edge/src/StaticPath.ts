/** A request's path as names below a root; null when it could mean anything else. */
export const parseStaticPath = (path: string): ReadonlyArray<string> | null => {
  if (!path.startsWith("/")) return null
  const names: Array<string> = []
  const parts = path.slice(1).split("/")
  for (const [index, part] of parts.entries()) {
    if (part === "") {
      // Only a trailing slash: an empty name in front could turn a redirect into `//other.host/`.
      if (index === parts.length - 1) break
      return null
    }
    const name = decodeOnce(part)
    if (name === null || forbidden.test(name)) return null
    const hidden = name.startsWith(".") && !(index === 0 && name === ".well-known")
    if (hidden) return null
    names.push(name)
  }
  return names
}

/** A separator or an end that came in encoded would be one to the file system only. */
const forbidden = /[/\\\p{Cc}]/u

const decodeOnce = (part: string): string | null => {
  try {
    return decodeURIComponent(part)
  } catch {
    return null
  }
}
