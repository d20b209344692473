/** Git of which one call waits while the gate is closed: a checkout, or the question for the head of `main`. */
import { Git } from "@deploy-mcp/domain/Git"
import { defaultBranch } from "@deploy-mcp/domain/model/Names"
import { Effect, type Latch, Layer } from "effect"

export const gatedGit = (call: "checkout" | "head of main", gate: Latch.Latch) =>
  Layer.effect(
    Git,
    Effect.map(Git, (git) =>
      Git.of({
        ...git,
        checkout: (...args) =>
          Effect.andThen(call === "checkout" ? gate.await : Effect.void, git.checkout(...args)),
        head: (repository, branch) =>
          Effect.andThen(
            call === "head of main" && branch === defaultBranch ? gate.await : Effect.void,
            git.head(repository, branch)
          )
      })
    )
  )
