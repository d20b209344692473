/** How large the files of a commit may be, measured by git's own list of them. */
import type { GitError } from "@deploy-mcp/domain/Git"
import { Effect } from "effect"
import { rejected } from "./GitFault.ts"

export interface SourceLimits {
  readonly maxSourceBytes: number
  readonly maxSourceFiles: number
}

/** `list` is what `git ls-tree -r -l -z` prints. */
export const checkSize = (list: string, limits: SourceLimits): Effect.Effect<void, GitError> => {
  const files = list.split("\0").slice(0, -1)
  const bytes = files.reduce((sum, file) => sum + (Number(sizeOf.exec(file)?.[1]) || 0), 0)
  if (files.length > limits.maxSourceFiles) {
    return tooLarge(
      `The commit has ${files.length} files; at most ${limits.maxSourceFiles} are allowed.`
    )
  }
  return bytes > limits.maxSourceBytes
    ? tooLarge(
        `The files of the commit have ${megabytes(bytes)} MiB; at most ${megabytes(limits.maxSourceBytes)} MiB are allowed.`
      )
    : Effect.void
}

const tooLarge = (cause: string) => Effect.fail(rejected("source_too_large", cause))

/** `100644 blob <sha>     123<TAB>path`; a submodule has `-` for its size. */
const sizeOf = /^\S+ \S+ \S+ +(\d+)\t/
const megabytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(1)
