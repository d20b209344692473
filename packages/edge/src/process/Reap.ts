/** Removes what an earlier edge of the same home left behind, however it ended. */
import { readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { controlGroupNames, removeControlGroup } from "./ControlGroup.ts"
import { removeEgress } from "./Egress.ts"
import { workPrefix } from "./LaunchDirect.ts"
import type { Machine } from "./Machine.ts"
import { namespacePrefix, removeAllNetworks } from "./Network.ts"
import { killAllRecorded } from "./PidRecords.ts"

export const reap = async (machine: Machine): Promise<void> => {
  const groups = machine.controlGroups
  if (groups) {
    const names = await controlGroupNames(groups, namespacePrefix(machine.homeId))
    await Promise.all(names.map((name) => removeControlGroup({ groups, name })))
  }
  await killAllRecorded(machine)
  const { network, nft } = machine.slots ?? { network: null, nft: null }
  if (network) await removeAllNetworks(network, machine.homeId)
  // After the networks: a slot must never live without the rules.
  if (network && nft) await removeEgress({ ...network, nft }, machine.homeId)
  const works = (await readdir(tmpdir()).catch(() => [])).filter((name) =>
    name.startsWith(workPrefix(machine.homeId))
  )
  for (const name of works) await rm(join(tmpdir(), name), { recursive: true, force: true })
}
