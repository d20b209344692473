/** Keeps a few slots ready, so that making one is not part of a start. */
import type { Machine, SlotTools } from "./Machine.ts"
import { makeNursery, removeRange } from "./Network.ts"
import { runProgram } from "./Program.ts"
import { makeSlot, type Slot } from "./Slot.ts"

export interface SlotPool {
  readonly network: boolean
  readonly take: () => Promise<Slot>
  readonly close: () => Promise<void>
}

const wanted = 2
/** A start uses all cores for about 50 ms; the next slot is made after that, before the next start. */
const refillAfterMs = 80

const takeAttempts = 4
/** Starting a program blocks the event loop for milliseconds: a burst of starts must share it. */
const atOnce = 3

/** Lets so many run at the same time; the others wait for their turn. */
const inTurn = (limit: number) => {
  const waiting: Array<() => void> = []
  let active = 0
  return async <A>(act: () => Promise<A>): Promise<A> => {
    if (active >= limit) await new Promise<void>((go) => waiting.push(go))
    active++
    try {
      return await act()
    } finally {
      active--
      waiting.shift()?.()
    }
  }
}

const isWaiting = ({ shell }: Slot): boolean =>
  shell.child.exitCode === null && shell.child.signalCode === null

/** Makes the first slot at once: an error says why slots don't work here. */
export const makeSlotPool = async (machine: Machine, tools: SlotTools): Promise<SlotPool> => {
  const nursery = tools.network ? await makeNursery(tools.network, machine.homeId) : null
  const removeNursery = async () => {
    if (!tools.network || !nursery) return
    await runProgram(tools.network.ip, ["netns", "del", nursery])
    await removeRange(tools.network)
  }
  const making = new Set<Promise<Slot>>()
  let closed = false
  let timer: NodeJS.Timeout | null = null

  const turn = inTurn(atOnce)
  const add = (): Promise<Slot> => {
    const slot = turn(() => makeSlot(machine, tools, nursery))
    making.add(slot)
    // The one that takes it learns of the failure; an untaken one is not offered.
    slot.catch(() => making.delete(slot))
    return slot
  }
  const refill = () => {
    timer = null
    // One by one: a burst of starts should not find its cores busy with slots.
    if (!closed && making.size < wanted) add().then(refillLater, () => {})
  }
  const refillLater = () => {
    if (closed || making.size >= wanted) return
    timer ??= setTimeout(refill, refillAfterMs)
    timer.unref()
  }
  const take = async (attempt = 1): Promise<Slot> => {
    if (closed) throw new Error("the edge is ending")
    const slot = making.values().next().value ?? add()
    making.delete(slot)
    refillLater()
    const taken = await slot.catch((error: unknown) => {
      // What the machine refused once, such as an address taken meanwhile, it may grant now.
      if (attempt === takeAttempts) throw error
      return null
    })
    if (taken && isWaiting(taken)) return taken
    await taken?.remove()
    return take(attempt + 1)
  }
  const close = async () => {
    closed = true
    if (timer) clearTimeout(timer)
    await Promise.all(
      [...making].map((slot) =>
        slot.then(
          (made) => made.remove(),
          () => {}
        )
      )
    )
    await removeNursery()
  }
  try {
    await add()
  } catch (error) {
    await removeNursery()
    throw error
  }
  refillLater()
  return { network: nursery !== null, take: () => take(), close }
}
