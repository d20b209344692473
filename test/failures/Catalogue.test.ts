/**
 * Each failure of the catalogue, met for real. Whatever fails is told alike over MCP, by the API, by
 * the command line and in the output of the push, and the release before keeps serving.
 */
import { catalogue, type Failure } from "@deploy-mcp/domain/Failure"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Agent, agents } from "../e2e/Agents.ts"
import { type Ran, runCli } from "../e2e/CommandLine.ts"
import { eventually } from "../e2e/Eventually.ts"
import { type Platform, startPlatform } from "../e2e/Platform.ts"
import { nodeApp } from "../e2e/Samples.ts"
import type { WorkTree } from "../e2e/WorkTree.ts"
import { requests, services } from "./Requests.ts"
import { limits, type Machine, mortal, type Sample, samples } from "./Samples.ts"

let platform: Platform
let agent: Agent
let machine: Machine
let brittle: Service

beforeAll(async () => {
  platform = await startPlatform(limits)
  const [, connect] = agents.find(([label]) => label === "client-2-auto") ?? []
  assert(connect !== undefined)
  agent = await connect(platform.url(), platform.key())
  const { platform: lines } = await platform.api.whoami()
  machine = {
    ownNetwork: await platform.ownNetwork(),
    memoryLimited: !lines.some((line) => line.startsWith("Memory is "))
  }
  brittle = await setUp("brittle")
  await goesLive(brittle, nodeApp("good"))
})
afterAll(async () => {
  await agent?.close()
  await platform?.dispose()
})

interface Service {
  readonly name: string
  readonly tree: WorkTree
}

const setUp = async (name: string, settings: Sample["settings"] = {}): Promise<Service> => {
  await platform.api.createRepo(name)
  await platform.api.createService({ repo: name, name, ...settings })
  return { name, tree: await platform.workTree() }
}

/** A real push by the command line, which passes on what git hears from the platform. */
const deploy = async ({ name, tree }: Service, files: Sample["files"]): Promise<Ran> => {
  await tree.commit(files)
  return runCli(platform, ["deploy", tree.directory, "--name", name], tree.directory)
}

const goesLive = async (service: Service, files: Sample["files"]): Promise<void> => {
  const { code, stdout, stderr } = await deploy(service, files)
  assert.strictEqual(code, 0, stdout + stderr)
}

/** A catalogue entry, as a terminal shows it; tabs and the like are made visible there. */
const shown = ({ code, cause, evidence, next }: Failure): ReadonlyArray<string> => [
  `✗ ${code}  ${cause}`,
  ...evidence.map((line) => `  │ ${line.replaceAll("\t", "  ")}`),
  `  next: ${next}`
]

interface Expected {
  readonly code: Failure["code"]
  readonly cause: string | RegExp
  readonly evidence?: RegExp
  readonly next?: RegExp
}

const asExpected = (failure: Failure, expected: Expected): void => {
  const { code, cause, evidence, next } = expected
  assert.strictEqual(failure.code, code, JSON.stringify(failure))
  assert.strictEqual(failure.phase, catalogue[code].phase)
  assert.strictEqual(failure.retryable, catalogue[code].retryable)
  if (typeof cause === "string") assert.strictEqual(failure.cause, cause)
  else assert.match(failure.cause, cause)
  if (evidence !== undefined) {
    assert.isTrue(
      failure.evidence.some((line) => evidence.test(line)),
      `${evidence} is not in ${JSON.stringify(failure.evidence)}`
    )
  }
  if (next === undefined) assert.strictEqual(failure.next, catalogue[code].next)
  else assert.match(failure.next, next)
}

describe("a deployment fails by", () => {
  it.each(samples)("$what: $code", async (sample) => {
    const { code, files, settings, patch } = sample
    const service =
      settings === undefined ? brittle : await setUp(code.replaceAll("_", "-"), settings)
    if (sample.before !== undefined) await goesLive(service, sample.before)
    if (sample.where?.(machine) === false) {
      if (sample.otherwise === "live") await goesLive(service, files)
      return
    }
    const serving = settings === undefined || sample.before !== undefined
    const probe = serving ? platform.probe(service.name) : null
    const { code: exit, stdout, stderr } = await deploy(service, files)
    const seen = await probe?.stop()
    assert.deepStrictEqual(seen?.bad ?? [], [])
    assert.lengthOf(seen?.bodies ?? ["nothing"], 1)
    assert.strictEqual(exit, 1, stdout)

    const ended = await platform.api.ended(service.name)
    assert.strictEqual(ended.status, "failed")
    assert(ended.failure !== null)
    const failure = ended.failure
    asExpected(failure, sample)
    assert.strictEqual(sample.evidence !== undefined, failure.evidence.length > 0)
    const known = patch === undefined ? undefined : { name: service.name, ...patch }
    assert.deepStrictEqual(failure.patch, known)

    const told = await agent.call("wait_for_deployment", { name: service.name })
    assert.deepStrictEqual(told.failure, JSON.parse(JSON.stringify(failure)))
    assert.strictEqual(told.next, failure.next)
    assert.deepStrictEqual(stderr.trimEnd().split("\n"), shown(failure))
    const pushed = stdout
      .split("\n")
      .flatMap((line) => /^ {2}remote: (.*?)\s*$/u.exec(line)?.[1] ?? [])
    const headline = `${ended.deployment}: failed in ${failure.phase}: ${code}`
    assert.deepStrictEqual(
      pushed.slice(pushed.indexOf(headline)).filter((line) => line !== ""),
      [
        headline,
        `  ${failure.cause}`,
        ...failure.evidence.slice(-10).map((line) => `  | ${line}`.trimEnd()),
        `  next: ${failure.next}`
      ].map((line) => line.replaceAll("\t", "  "))
    )
    const { status } = await platform.api.service(service.name)
    assert.strictEqual(status, serving ? "live" : "failed")
  })

  it("and is repaired by a good push", async () => {
    await goesLive(brittle, nodeApp("better"))
    assert.strictEqual((await platform.get("brittle")).body, "better ")
    const { status, latest_deployment } = await platform.api.service("brittle")
    assert.strictEqual(status, "live")
    assert.isNull(latest_deployment?.failure)
  })
})

describe("a live service fails by", () => {
  it("ending again and again: crash_loop", async () => {
    await goesLive(await setUp("mortal"), mortal.files)
    await eventually("the loop is seen", async () => {
      const { status, next } = await platform.api.service("mortal")
      // Visitors would wait for one that is being started.
      if (status === "live") await platform.get("mortal", { path: "/end" })
      return next.startsWith("crash_loop: ")
    })
    const { status, next } = await platform.api.service("mortal")
    assert.strictEqual(status, "crashed")
    // On a busy machine its last end may be that it gave no answer in time.
    assert.match(next, /^crash_loop: The process ended 5 times in a row\. \S.+/u)
    assert.isTrue(next.endsWith(catalogue.crash_loop.next), next)
    assert.strictEqual((await agent.call("get_service", { name: "mortal" })).next, next)
    const { stdout } = await runCli(platform, ["services"], platform.folder)
    assert.include(stdout.split("\n"), `✗ mortal  ${next}`)
  })
})

describe("a request is refused for", () => {
  beforeAll(async () => {
    for (const service of services) await platform.api.createService(service)
    await platform.api.createRepo("taken")
    const tree = await platform.workTree()
    await tree.commit(nodeApp("taken"))
    await tree.push(await platform.api.pushUrl("taken"))
  })

  it.each(requests)("$what: $code", async (request) => {
    const { ask } = request
    if ("tool" in ask) {
      const failure = await platform.api.refused(ask.tool, ask.args)
      asExpected(failure, request)
      const told = await agent.call(ask.tool, ask.args)
      assert.deepStrictEqual(told.error, JSON.parse(JSON.stringify(failure)))
      return
    }
    const tree = await platform.workTree()
    await tree.commit(nodeApp("unrelated"))
    const asJson = await runCli(platform, [...ask.command, "--json"], tree.directory, ask.env)
    assert.strictEqual(asJson.code, 1)
    const { error } = JSON.parse(asJson.stdout)
    asExpected(error, request)
    const forPeople = await runCli(platform, ask.command, tree.directory, ask.env)
    assert.include(forPeople.stderr, `✗ ${request.code}  ${error.cause}`)
    assert.include(forPeople.stderr, `  next: ${error.next}`)
  })
})

describe("the end", () => {
  it("a stop leaves nothing", () => platform.stop())
})
