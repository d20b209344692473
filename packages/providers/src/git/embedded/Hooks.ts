/**
 * The two hooks of every repository: fixed, without dependencies, and without an argument that a
 * pusher could form. File descriptors 3 (to us) and 4 (from us) are pipes of this one push, so the
 * hooks need no address, no secret and no program but `sh` and `cat`.
 */

import type { RefUpdate } from "@deploy-mcp/domain/Git"
import { BranchName, CommitSha } from "@deploy-mcp/domain/model/Names"
import { Schema } from "effect"

/** The patterns say the same as `BranchName`, which has no other way into a shell. */
const preReceive = `#!/bin/sh
refused=0
refuse() {
  printf '%s: %s\\n' "$ref" "$1"
  refused=1
}
while read -r old new ref; do
  printf 'wanted %s %s %s\\n' "$old" "$new" "$ref" >&3
  case $ref in
    refs/tags/*) continue ;;
    refs/heads/*) name=\${ref#refs/heads/} ;;
    *) refuse 'only branches and tags can be pushed.'; continue ;;
  esac
  case $new in
    *[!0]*) ;;
    *) continue ;;
  esac
  case $name in
    *[!A-Za-z0-9._/-]*)
      refuse "use only letters, digits, '.', '_', '/' and '-' in the name of a branch." ;;
    -* | .* | /* | */ | *. | *..* | *//* | */.* | *.lock | *.lock/*)
      refuse "a branch must not start with '-', '.' or '/', nor end in '.', '/' or '.lock'." ;;
  esac
  [ \${#name} -le 200 ] || refuse 'the name of a branch can have at most 200 characters.'
done
if [ $refused = 0 ]; then
  printf 'arrived %s\\n' "$GIT_QUARANTINE_PATH" >&3
  read -r answer <&4
  if [ "$answer" != ok ]; then
    printf '%s\\n' "\${answer:-the platform did not say whether there is room; push again.}"
    refused=1
  fi
fi
exit $refused
`

const postReceive = `#!/bin/sh
while read -r old new ref; do
  printf 'moved %s %s %s\\n' "$old" "$new" "$ref"
done >&3
echo end >&3
exec cat <&4
`

export const hooks: Readonly<Record<string, string>> = {
  "pre-receive": preReceive,
  "post-receive": postReceive
}

/** What has arrived is whole, but for the branches. */
export const arrivedLine = /(^|\n)arrived (.*)\n/u

/** The name of the folder in a repository's `objects` that a push waits in; null: it brought nothing. */
export const arrivedIn = (text: string): string | null =>
  /\/(tmp_objdir-incoming-[A-Za-z0-9]+)$/u.exec(arrivedLine.exec(text)?.[2] ?? "")?.[1] ?? null

/** What the hooks have said so far on descriptor 3. */
export interface HookReport {
  /** Branches that the push asked to move; whether they did is not known. */
  readonly wanted: ReadonlyArray<RefUpdate>
  readonly moved: ReadonlyArray<RefUpdate>
  /** All that moved is known, and the hook waits for what we have to say. */
  readonly ended: boolean
}

export const parseReport = (text: string): HookReport => {
  const lines = text.split("\n").slice(0, -1)
  const updates = (word: string) =>
    lines.flatMap((line) => {
      const [kind, old, sha, ref] = line.split(" ")
      if (kind !== word || old === sha || !ref?.startsWith("refs/heads/")) return []
      const branch = ref.slice("refs/heads/".length)
      const to = sha === nothing ? null : sha
      return isBranch(branch) && (to === null || isCommit(to)) ? [{ branch, to }] : []
    })
  return { wanted: updates("wanted"), moved: updates("moved"), ended: lines.includes("end") }
}

const nothing = "0".repeat(40)
const isBranch = Schema.is(BranchName)
const isCommit = Schema.is(CommitSha)
