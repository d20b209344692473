/** One question over HTTP whether a container is ready for visitors. */
import { request } from "node:http"
import { type Asked, type HealthAnswer, healthyBelow } from "@deploy-mcp/domain/node/ExplainSilence"
import { Effect } from "effect"

const excerptLength = 500

/**
 * Null: nobody answered in HTTP. That a connection could be made says nothing, because the engine's
 * own proxy accepts it for the container.
 */
export const askHealth = (
  endpoint: { readonly host: string; readonly port: number },
  asked: Asked,
  patienceMs: number
): Effect.Effect<HealthAnswer | null> =>
  Effect.callback<HealthAnswer | null>((resume) => {
    const limit = healthyBelow(asked)
    const tell = (answer: HealthAnswer | null) => resume(Effect.succeed(answer))
    const question = request(
      {
        ...endpoint,
        path: asked.healthPath ?? "/",
        agent: false,
        headers: { host: "localhost", "user-agent": "deploy-mcp-health", accept: "*/*" }
      },
      (answer) => {
        const status = answer.statusCode ?? 0
        const summary = `answered ${status}`
        if (status < limit) {
          tell({ healthy: true, summary, evidence: [] })
          // Enough is known: a page that never ends must not keep the connection.
          answer.destroy()
          return
        }
        let text = ""
        const done = () => {
          const shown = text.slice(0, excerptLength).split("\n").slice(0, 10)
          tell({ healthy: false, summary, evidence: [summary, ...shown] })
        }
        answer.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk
          if (text.length > excerptLength) answer.destroy()
        })
        answer.once("error", done)
        answer.once("close", done)
      }
    )
    question.on("error", () => tell(null))
    question.end()
    return Effect.sync(() => question.destroy())
  }).pipe(
    Effect.timeoutOrElse({
      duration: patienceMs,
      orElse: () => Effect.succeed({ healthy: false, summary: "no answer in time", evidence: [] })
    })
  )
