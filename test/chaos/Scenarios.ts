/** Each workflow that exists, on each way that it can take: what faults are put into one at a time. */
import type { Scenario } from "./Life.ts"
import { type Operation, type Page, serviceNames } from "./Operations.ts"

const [service] = serviceNames
const push = (page: Page): Operation => ({ kind: "push", service, page, hints: 1 })
const deployed: ReadonlyArray<Operation> = [push(0), { kind: "create", service }]
/** Another value is another build. */
const set = (value: string): Operation => ({
  kind: "update",
  service,
  change: { variable: "MODE", value }
})
const aMinute: Operation = { kind: "pass", millis: 70_000 }

export const scenarios = {
  create: { before: [], operations: deployed },
  redeploy: { before: deployed, operations: [{ kind: "redeploy", service }] },
  push: { before: deployed, operations: [push(1)] },
  rollback: {
    before: [...deployed, push(1)],
    operations: [{ kind: "rollback", service, to: null }]
  },
  update: { before: deployed, operations: [set("a")] },
  "failed build": { before: deployed, operations: [push("build-fails")] },
  "failed start": { before: deployed, operations: [push("never-healthy")] },
  collection: {
    before: [...deployed, ...["a", "b", "c", "d", "e"].map(set)],
    operations: ["f", "g"].map(set)
  },
  delete: { before: deployed, operations: [{ kind: "delete", service }] },
  restore: {
    before: [...deployed, { kind: "delete", service }],
    operations: [{ kind: "restore", service }]
  },
  purge: { before: [...deployed, { kind: "delete", service }], operations: [aMinute] }
} satisfies Record<string, Scenario>

/** What another caller asks for while a push is under way. */
export const rivals: Readonly<Record<string, Operation>> = {
  cancel: { kind: "cancel", service },
  supersede: push(2),
  delete: { kind: "delete", service }
}
