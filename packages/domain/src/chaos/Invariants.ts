/**
 * What must hold whatever fails: `always` after each step, `rest` once faults have ended and the
 * platform has had time. One list for simulation, for real processes and for providers.
 */
import { isFinished } from "../model/Deployment.ts"
import type { Invariant } from "./Invariant.ts"
import {
  deploymentOf,
  duplicatesOf,
  isKept,
  isPassed,
  newestFirst,
  nodeIn,
  projectionOf,
  stageIn
} from "./WorldView.ts"

export const invariants: ReadonlyArray<Invariant> = [
  {
    id: "accepted-ends",
    sentence: "Every deployment that was accepted ends, in a typed outcome.",
    when: "rest",
    check: (now) => [
      ...now.deployments
        .filter(({ status }) => !isFinished(status))
        .map(({ deployment, status }) => `${deployment} is still ${status}`),
      ...now.deployments
        .filter(({ code, status }) => status === "failed" && (code === null || code === "internal"))
        .map(({ code, deployment }) => `${deployment} failed with ${code ?? "no code"}`),
      ...now.deployments
        .filter(({ finishedAt, status }) => isFinished(status) && finishedAt === null)
        .map(({ deployment, status }) => `${deployment} is ${status}, and nothing says since when`)
    ]
  },
  {
    id: "accepted-stays",
    sentence: "What was accepted is not forgotten while its service is there, nor is the service.",
    when: "always",
    check: (now, before) => [
      ...[...now.promises.accepted]
        .filter(
          ([deployment, stage]) =>
            stageIn(now, stage) !== undefined &&
            [now, before].every((view) =>
              view?.deployments.every((one) => one.deployment !== deployment)
            )
        )
        .map(([deployment]) => `${deployment} was accepted and has no row`),
      ...(before?.stages ?? [])
        .filter(({ stage, trashed }) => !trashed && stageIn(now, stage) === undefined)
        .map(({ service }) => `${service} is gone and nobody deleted it`)
    ]
  },
  {
    id: "history-stays",
    sentence:
      "A deployment is forgotten with its service, or long after its end: never the newest, nor one whose release can still serve.",
    when: "always",
    check: (now, before) =>
      (before?.deployments ?? [])
        .filter(
          (old) =>
            stageIn(now, old.stage) !== undefined &&
            now.deployments.every(({ deployment }) => deployment !== old.deployment)
        )
        .filter(
          ({ finishedAt, number, release, stage, status }) =>
            !isFinished(status) ||
            finishedAt === null ||
            now.at - finishedAt < now.keptHistory ||
            newestFirst(now, stage).every((one) => one.number < number) ||
            before?.releases.some((one) => one.release === release && isKept(one.state))
        )
        .map(({ deployment }) => `${deployment} is forgotten`)
  },
  {
    id: "newest-wins",
    sentence:
      "The newest deployment is the one that counts: it is live, has failed or was cancelled, and the newest that succeeded is live.",
    when: "rest",
    check: (now) =>
      now.stages
        .filter(({ trashed }) => !trashed)
        .flatMap(({ live, service, stage }) => {
          const all = newestFirst(now, stage)
          const committed = all.find(({ status }) => status === "committed")
          return [
            ...(all[0]?.status === "superseded" || all[0]?.code === "superseded"
              ? [`${service}: the newest was superseded`]
              : []),
            ...(committed !== undefined && live !== null && committed.release !== live
              ? [`${service}: #${committed.number} succeeded last and is not live`]
              : [])
          ]
        })
  },
  {
    id: "push-answered",
    sentence: "The head that was pushed last has a deployment.",
    when: "rest",
    check: (now) =>
      now.stages
        .filter(({ trashed }) => !trashed)
        .flatMap(({ service, stage }) => {
          const head = now.promises.heads.get(service)
          const answered = newestFirst(now, stage).some(({ answers }) => answers === head)
          return head === undefined || answered
            ? []
            : [`${service}: nothing answers to the push of ${head}`]
        })
  },
  {
    id: "one-live",
    sentence: "A stage has at most one live release, and its row names it.",
    when: "always",
    check: (now) => [
      ...duplicatesOf(
        now.releases.filter(({ state }) => state === "live"),
        ({ stage }) => stage
      ).map((stage) => `${stage} has two live releases`),
      ...now.stages
        .filter(({ live }) => {
          const named = now.releases.find(({ release }) => release === live)
          return live !== null && named?.state !== "live"
        })
        .map(({ live, service }) => `${service} names ${live}, which is not live`)
    ]
  },
  {
    id: "generation-rises",
    sentence:
      "The generation of a stage only rises, in rows and on its node, and one generation leads to one release.",
    when: "always",
    check: (now, before) => [
      ...now.stages
        .filter(({ generation, stage }) => generation < (stageIn(before, stage)?.generation ?? 0))
        .map(({ service }) => `the generation of ${service} fell`),
      ...now.stages
        .filter(({ generation, live, stage }) => {
          const old = stageIn(before, stage)
          return old?.generation === generation && old.live !== live
        })
        .map(({ service }) => `another release of ${service} is live under the same generation`),
      ...now.node.flatMap(({ generation, route, stage }) => {
        const old = nodeIn(before, stage)
        if (old === undefined) return []
        if (generation < old.generation) return [`the node took an older generation of ${stage}`]
        return generation === old.generation && route !== old.route
          ? [`the node leads ${stage} elsewhere under the same generation`]
          : []
      })
    ]
  },
  {
    id: "healthy-only",
    sentence: "Visitors are led to a release that is healthy: the old one serves until then.",
    when: "always",
    check: (now) =>
      now.node
        .filter(
          ({ route, running }) =>
            route !== null && !running.some(({ healthy, release }) => release === route && healthy)
        )
        .map(({ route, stage }) => `${stage} leads to ${route}, which is not healthy`)
  },
  {
    id: "no-gap",
    sentence: "A stage that has a live release serves at every moment once it has begun to.",
    when: "always",
    check: (now, before) =>
      now.stages
        .filter(
          ({ live, stage, trashed }) =>
            !trashed &&
            live !== null &&
            (stageIn(before, stage)?.live ?? null) !== null &&
            (nodeIn(before, stage)?.route ?? null) !== null &&
            (nodeIn(now, stage)?.route ?? null) === null
        )
        .map(({ service }) => `${service} serves nothing for a moment`)
  },
  {
    id: "live-serves",
    sentence: "Visitors are led to what is said to be live, unless the node could not be told.",
    when: "always",
    check: (now) =>
      now.stages
        .filter(({ live, stage, trashed }) => {
          const end = deploymentOf(now, live)?.finishedAt ?? null
          return now.nodeIsTold && !trashed && end !== null && nodeIn(now, stage)?.route !== live
        })
        .map(({ live, service }) => `${service} does not serve ${live}, which is said to be live`)
  },
  {
    id: "serves-without-control",
    sentence: "While control or its database is down, what runs goes on as it was.",
    when: "always",
    check: (now, before) =>
      now.control || before === null || before.control
        ? []
        : before.node
            .filter(({ route, stage }) => route !== null && nodeIn(now, stage)?.route !== route)
            .map(({ stage }) => `${stage} changed while control was down`)
  },
  {
    id: "no-orphans",
    sentence: "What is there and what rows want are the same once all is quiet.",
    when: "rest",
    check: (now) => {
      const wanted = now.stages.filter(({ trashed }) => !trashed)
      const running = new Set(now.node.flatMap((one) => one.running.map(({ release }) => release)))
      return [
        ...now.node
          .filter(({ stage }) => wanted.every((one) => one.stage !== stage))
          .map(({ stage }) => `the node has ${stage}, which no row wants`),
        ...[...running]
          .filter((release) =>
            now.releases.every((one) => one.release !== release || one.state !== "live")
          )
          .map((release) => `${release} runs, and no row wants it`),
        ...wanted
          .filter(({ live, stage }) => live !== (nodeIn(now, stage)?.route ?? null))
          .map(({ live, service }) => `${service} should serve ${live ?? "nothing"} and does not`),
        ...now.releases
          .filter(({ state }) => state === "candidate")
          .map(({ release }) => `${release} is a candidate of nothing`),
        ...now.artifacts
          .filter(
            (key) =>
              now.releases.every(({ artifact, state }) => artifact !== key || !isKept(state)) &&
              now.deployments.every((one) => one.artifact !== key || isPassed(now, one))
          )
          .map((key) => `the artifact ${key} belongs to no release`),
        ...now.leftovers,
        ...[...now.logs.keys()]
          .filter((log) => now.deployments.every(({ deployment }) => deployment !== log))
          .map((log) => `the log of ${log} has no deployment`)
      ]
    }
  },
  {
    id: "artifacts-stay",
    sentence: "The artifact of a release that is live or can be gone back to is there.",
    when: "always",
    check: (now) =>
      now.releases
        .filter(
          ({ artifact, stage, state }) =>
            (state === "live" || state === "candidate") &&
            stageIn(now, stage)?.trashed === false &&
            !now.artifacts.includes(artifact)
        )
        .map(({ artifact, release, state }) => `${release} is ${state} without ${artifact}`)
  },
  {
    id: "kept-can-return",
    sentence:
      "Once all is quiet the releases that are kept to go back to are the newest, each with its artifact.",
    when: "rest",
    check: (now) => {
      const all = now.releases.map((one) => ({ ...one, by: deploymentOf(now, one.release) }))
      const gone = all.filter(
        ({ by, state }) => state === "collected" && by?.status === "committed"
      )
      return all
        .filter(({ state }) => state === "retired")
        .flatMap(({ artifact, by, release, stage }) => {
          const isNewer = (one: typeof by) => (one?.number ?? 0) > (by?.number ?? 0)
          const newer = gone.find((one) => one.stage === stage && isNewer(one.by))
          return [
            ...(now.artifacts.includes(artifact) ? [] : [`${release} is kept without ${artifact}`]),
            ...(newer === undefined
              ? []
              : [`${release} is kept, and not ${newer.release}, a newer one`])
          ]
        })
    }
  },
  {
    id: "stays-deleted",
    sentence: "Nothing but a restore brings a deleted thing back.",
    when: "always",
    check: (now, before) => [
      ...now.stages
        .filter(
          ({ service, stage, trashed }) =>
            !trashed &&
            stageIn(before, stage)?.trashed === true &&
            !now.promises.restored.has(service)
        )
        .map(({ service }) => `${service} came back from the trash by itself`),
      ...now.variables
        .filter(({ id, past }) => !past && before?.variables.find((one) => one.id === id)?.past)
        .map(({ name }) => `the variable ${name} has an older value again`),
      ...now.releases
        .filter(({ release, state }) => {
          const old = before?.releases.find((one) => one.release === release)?.state
          return (old === "discarded" || old === "collected") && isKept(state)
        })
        .map(({ release }) => `${release} came back`),
      ...now.deployments
        .filter(({ deployment, status }) => {
          const old = before?.deployments.find((one) => one.deployment === deployment)?.status
          return old !== undefined && isFinished(old) && old !== status
        })
        .map(({ deployment, status }) => `${deployment} had ended and is ${status} now`)
    ]
  },
  {
    id: "deleted-goes",
    sentence: "What was deleted is gone for good once its retention is over.",
    when: "rest",
    check: (now) =>
      now.stages
        .filter(({ overdue }) => overdue)
        .map(({ service }) => `${service} is in the trash still`)
  },
  {
    id: "own-commit",
    sentence: "A release is built from the commit that its deployment names.",
    when: "rest",
    check: (now) =>
      now.releases
        .filter(({ state }) => isKept(state))
        .flatMap(({ artifact, deployment, release }) => {
          const from = now.builtFrom(artifact)
          const named = now.deployments.find((one) => one.deployment === deployment)?.commit
          return from === null || named === undefined || from === named
            ? []
            : [`${release} is of ${named} and was built from ${from}`]
        })
  },
  {
    id: "one-build",
    sentence: "One artifact key gives one build.",
    when: "always",
    check: (now) =>
      [...now.builds]
        .filter(([, count]) => count > 1)
        .map(([key, count]) => `${key} was built ${count} times`)
  },
  {
    id: "once",
    sentence: "A repeated command or push has one effect.",
    when: "rest",
    check: (now) => [
      ...[...now.promises.keyed]
        .filter(([, subjects]) => subjects.size > 1)
        .map(([key, subjects]) => `${key} was answered with ${[...subjects].join(" and ")}`),
      ...duplicatesOf(now.releases, ({ deployment }) => deployment).map(
        (deployment) => `${deployment} has two releases`
      ),
      ...now.deployments
        .filter(({ answers, cause, number, settingsRevision, stage }) => {
          const last = newestFirst(now, stage).find((one) => one.number === number - 1)
          return (
            cause === "push" &&
            last?.answers === answers &&
            last.settingsRevision === settingsRevision &&
            (last.status === "committed" || last.status === "cancelled")
          )
        })
        .map(({ deployment }) => `${deployment} repeats the push before it`)
    ]
  },
  {
    id: "no-secrets",
    sentence: "A secret is nowhere but in the vault: not in journal, world, logs or errors.",
    when: "rest",
    check: ({ promises: { secrets }, texts }) =>
      (secrets.length === 0 ? [] : [...texts()])
        .filter(({ text }) => secrets.some((secret) => text.includes(secret)))
        .map(({ where }) => `a secret is in ${where}`)
  },
  {
    id: "same-end",
    sentence: "Once all is quiet, things are as the same commands leave them without faults.",
    when: "rest",
    check: (now) => {
      const [left, wanted] = [projectionOf(now), now.undisturbed ?? projectionOf(now)]
      return left.join("\n") === wanted.join("\n")
        ? []
        : [`it should be [${wanted.join("; ")}] and is [${left.join("; ")}]`]
    }
  },
  {
    id: "log-order",
    sentence: "Lines of a log keep their order; where lines are missing a marker says so.",
    when: "rest",
    check: (now) =>
      [...now.logs].flatMap(([log, lines]) =>
        lines.flatMap(({ seq, text }, index) => {
          const last = lines[index - 1]?.seq ?? 0
          return seq === last + 1 || (seq > last && /limit reached|missing|dropped/u.test(text))
            ? []
            : [`${log}: line ${seq} comes after ${last}`]
        })
      )
  }
]
