/** One question over HTTP whether a process is ready for visitors. */
import { request } from "node:http"
import { type Asked, type HealthAnswer, healthyBelow } from "@deploy-mcp/domain/node/ExplainSilence"
import { wayTo } from "./DialAgent.ts"
import type { Endpoint } from "./Processes.ts"

/** An answer may take this long, so that one lost question does not use up the whole time. */
const patienceMs = 5000
const excerptLength = 500

/** `deadline`: by `performance.now()`. */
export const askHealth = (
  endpoint: Endpoint,
  asked: Asked,
  deadline: number,
  signal: AbortSignal
): Promise<HealthAnswer> =>
  new Promise((resolve) => {
    const limit = healthyBelow(asked)
    const left = Math.round(deadline - performance.now())
    const timeout = Math.max(250, Math.min(patienceMs, left))
    const none = (error: Error) =>
      resolve({
        healthy: false,
        summary: error.name === "TimeoutError" ? "no answer in time" : "the answer broke off",
        evidence: [error.message]
      })
    const question = request(
      {
        ...wayTo(endpoint),
        path: asked.healthPath ?? "/",
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)]),
        headers: { host: "localhost", "user-agent": "deploy-mcp-health", accept: "*/*" }
      },
      (answer) => {
        const status = answer.statusCode ?? 0
        const summary = `answered ${status}`
        if (status < limit) {
          resolve({ healthy: true, summary, evidence: [] })
          // Enough is known: a page that never ends must not keep the connection.
          answer.destroy()
          return
        }
        let text = ""
        const done = () =>
          resolve({
            healthy: false,
            summary,
            evidence: [summary, ...text.slice(0, excerptLength).split("\n").slice(0, 10)]
          })
        answer.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk
          if (text.length > excerptLength) answer.destroy()
        })
        answer.once("error", done)
        answer.once("close", done)
      }
    )
    question.on("error", (error) => {
      const cause = error.cause
      none(cause instanceof Error ? cause : error)
    })
    question.end()
  })
