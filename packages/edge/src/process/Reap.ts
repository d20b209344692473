/** Removes what an earlier edge of the same home left behind, however it ended. */
import { readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { controlGroupNames, removeControlGroup } from "./ControlGroup.ts"
import { removeEgress } from "./Egress.ts"
import { workPrefix } from "./LaunchDirect.ts"
import type { Traces } from "./Machine.ts"
import { namespacePrefix, removeAllNetworks } from "./Network.ts"
import { killAllRecorded } from "./PidRecords.ts"

export const reap = async (traces: Traces): Promise<void> => {
  const { network, nft } = traces.slots ?? { network: null, nft: null }
  await Promise.all([
    removeControlGroups(traces),
    killAllRecorded(traces),
    network && removeAllNetworks(network, traces.homeId)
  ])
  // After the networks: a slot must never live without the rules.
  if (network && nft) await removeEgress({ ...network, nft }, traces.homeId)
  const works = (await readdir(tmpdir()).catch(() => [])).filter((name) =>
    name.startsWith(workPrefix(traces.homeId))
  )
  for (const name of works) await rm(join(tmpdir(), name), { recursive: true, force: true })
}

const removeControlGroups = async ({ controlGroups: groups, homeId }: Traces): Promise<void> => {
  if (!groups) return
  const names = await controlGroupNames(groups, namespacePrefix(homeId))
  await Promise.all(names.map((name) => removeControlGroup({ groups, name })))
}
