/**
 * Bytes that all frozen releases may hold together: a quarter of what the machine has, or the container
 * that the edge is in. `limit` is 0 where there is none, and larger than any machine where it says nothing.
 */
export const frozenMemory = (machine: number, limit: number): number =>
  Math.min(machine, limit > 0 ? limit : machine) / 4
