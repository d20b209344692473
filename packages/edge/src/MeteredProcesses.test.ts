import { assert, it } from "vitest"
import { meterProcesses } from "./MeteredProcesses.ts"
import { makeMeters } from "./Meters.ts"
import type { ProcessRequest, ProcessState, Usage } from "./process/Processes.ts"
import { makePlainProcesses } from "./testing/PlainProcesses.ts"

const stage = "stg_1"

/** Processes that are as the test says, one after the other. */
const setUp = () => {
  const requests: Array<ProcessRequest> = []
  let used: Usage | null = null
  const meters = makeMeters()
  const state: ProcessState = { state: "healthy", restarts: 0, endpoint: null, failure: null }
  const processes = meterProcesses(
    {
      ...makePlainProcesses(),
      start: (request) => {
        requests.push(request)
        return {
          state,
          usage: async () => used,
          freeze: async () => null,
          thaw: async () => {},
          stop: async () => {}
        }
      }
    },
    meters
  )
  const request: ProcessRequest = {
    stage,
    release: "rel_1",
    tenant: 1,
    variables: {},
    onState: () => {},
    onLine: () => {},
    workload: {
      kind: "process",
      directory: "/",
      start: "true",
      path: [],
      variables: null,
      port: null,
      healthPath: null,
      memory: 1,
      cpu: 1,
      startTimeout: 1
    }
  }
  return {
    start: () => void processes.start(request),
    tell: (change: Partial<ProcessState>, number = 0) =>
      requests[number]?.onState({ ...state, ...change }),
    measure: (now: Usage | null) => {
      used = now
      return processes.usage(stage)
    },
    meter: () => meters.of(stage)
  }
}

it("counts cpu on when a process is started again, and when another takes its place", async () => {
  const { measure, meter, start, tell } = setUp()
  start()
  assert.deepEqual(await measure({ memory: 10, cpu: 4 }), { memory: 10, cpu: 4 })
  tell({ restarts: 1 })
  assert.deepEqual(await measure({ memory: 20, cpu: 1 }), { memory: 20, cpu: 5 })
  tell({ restarts: 1, state: "stopped" })
  assert.deepEqual(await measure(null), { memory: null, cpu: 5 })
  start()
  assert.deepEqual(await measure({ memory: 30, cpu: 2 }), { memory: 30, cpu: 7 })
  assert.deepEqual([meter().starts, meter().restarts], [3, 1])
})

it("keeps what it saw of one that says nothing while it is down", async () => {
  const { measure, start } = setUp()
  start()
  await measure({ memory: 10, cpu: 4 })
  assert.deepEqual(await measure(null), { memory: null, cpu: 4 })
})
