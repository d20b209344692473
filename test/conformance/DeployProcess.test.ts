/** The process provider is a Deploy: the kit, through a real edge and its sandbox. */
import { chmodSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import * as DeployConformance from "@deploy-mcp/domain/conformance/DeployConformance"
import { DeployProcess } from "@deploy-mcp/providers/deploy/process/DeployProcess"
import { Effect, Layer } from "effect"
import { EdgeNode, folder, noHost, site, visit } from "./EdgeNode.ts"

const provider = Layer.unwrap(
  EdgeNode.use(({ home, appsPort }) =>
    Effect.succeed(DeployProcess.make({ socket: join(home, "run/edge.sock"), appsPort }))
  )
).pipe(Layer.provide(noHost))

/** A shell command line in a folder of its own. */
const line = (start: string) =>
  Effect.map(folder, (directory) => {
    // The service's own user reads it.
    chmodSync(directory, 0o755)
    return {
      kind: "process" as const,
      directory,
      start,
      path: [],
      variables: null,
      port: null,
      healthPath: null,
      memory: 64,
      cpu: 1,
      startTimeout: 10_000
    }
  })

DeployConformance.suite("process", provider, {
  world: EdgeNode.layer(),
  get: ({ label }) => visit(label),
  site,
  doomed: line("echo this is the end; exit 7"),
  portless: Effect.map(line("while true; do sleep 1; done"), (workload) => ({
    ...workload,
    listens: false
  })),
  working: (text) =>
    Effect.map(folder, (directory) => {
      chmodSync(directory, 0o755)
      writeFileSync(join(directory, "web.mjs"), web(text))
      writeFileSync(join(directory, "clock.mjs"), clock(text))
      return {
        kind: "process" as const,
        directory,
        start: "exec node web.mjs",
        path: [dirname(process.execPath)],
        variables: null,
        port: null,
        healthPath: null,
        workers: { clock: "exec node clock.mjs" },
        memory: 128,
        cpu: 1,
        startTimeout: 20_000
      }
    })
})

const web = (text: string) => `import { createServer } from "node:http"
createServer((_, answer) => answer.end("${text}")).listen(process.env.PORT)`

const clock = (text: string) => `process.on("SIGTERM", () => {
  console.log("${text} has ended")
  process.exit(0)
})
setInterval(() => {}, 1000)
console.log("${text} works")`
