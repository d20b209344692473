import { execFile, spawn } from "node:child_process"
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { findControlGroups, processesOf } from "./ControlGroup.ts"
import { killedEdge, livingOf } from "./KilledEdge.ts"
import { linkPrefix, namespacePrefix } from "./Network.ts"
import { allProcesses, processStatus } from "./ProcessTree.ts"
import { findProgram } from "./Program.ts"
import { fetchText, leftovers, openTestEdge, type TestEdge } from "./TestEdge.ts"

const root = process.getuid?.() === 0
const run = promisify(execFile)
const secret = `s3cret-${"x".repeat(20)}`

/** Answers with the value of the expression that the query holds. */
const evaluator = `
require("node:http").createServer(async (question, answer) => {
  const text = decodeURIComponent(question.url.slice(2))
  const value = await eval("(async () => {" + text + "})()").catch((error) => error.code ?? error.message)
  answer.end(JSON.stringify(value))
}).listen(process.env.PORT)
`

describe.each([
  { mode: "as the machine is", without: [] },
  { mode: "without bubblewrap", without: ["bwrap"] }
])("what a process can see and do, $mode", ({ without }) => {
  let edge: TestEdge
  let ask: (code: string) => Promise<unknown>
  let sandboxed = false
  let network = false
  beforeAll(async () => {
    process.env.EDGE_OWN_WORD = "edge-own-word"
    edge = await openTestEdge({ without })
    delete process.env.EDGE_OWN_WORD
    sandboxed = edge.processes.isolation.level === "bubblewrap"
    network = edge.processes.isolation.network
    const service = await edge.run(evaluator, {
      variables: { SECRET: secret },
      files: { "private.txt": "for root only" },
      workload: { start: "exec node server.js" }
    })
    await chmod(join(service.directory, "private.txt"), 0o600)
    const endpoint = await service.healthy()
    ask = async (code) => JSON.parse(await fetchText(endpoint, `/?${encodeURIComponent(code)}`))
  })
  afterAll(async () => {
    await edge.close()
    assert.deepStrictEqual(await leftovers(edge.homeId), [])
  })

  it("trap 1: sees nothing of the edge's environment, and hands no secret around", async () => {
    const environments = await ask(`
      const fs = require("node:fs")
      return fs.readdirSync("/proc").filter((name) => /^\\d+$/.test(name)).map((pid) => {
        try { return fs.readFileSync("/proc/" + pid + "/environ", "utf8") } catch { return "" }
      }).join("\\n")`)
    assert.include(String(environments), secret)
    if (sandboxed || root) assert.notInclude(String(environments), "edge-own-word")

    const lines = await Promise.all(
      (await allProcesses()).map(({ pid }) =>
        readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")
      )
    )
    assert.notInclude(lines.join("\n"), secret)
    if (!root) return
    const script = `for file in /proc/[0-9]*/environ; do cat "$file" 2>/dev/null; done; ps -ef`
    const stranger = ["--reuid", "65533", "--regid", "65533", "--clear-groups", "/bin/sh", "-c"]
    const { stdout } = await run("setpriv", [...stranger, script], { maxBuffer: 1 << 26 })
    assert.notInclude(stdout, secret)
  })

  it("trap 1: variables act in no program of root", async () => {
    const service = await edge.run(`console.log("never")`, {
      variables: { LD_PRELOAD: "/app/server.js" },
      workload: { start: `echo "user $(id -u)"; sleep 0.1; exit 4` }
    })
    await service.failed()
    const complaints = service.lines.filter((line) => /ld\.so|preload/.test(line))
    assert.isNotEmpty(complaints)
    assert.isEmpty(complaints.filter((line) => /setpriv|bwrap|unshare|mount/.test(line)))
  })

  it("trap 2: is nobody on the host either", async () => {
    const uid = await ask("return process.getuid()")
    const word = await ask(`return require("node:fs").readFileSync("private.txt", "utf8")`)
    if (!root) return assert.strictEqual(word, "for root only")
    assert.strictEqual(uid, sandboxed ? 65534 : 200_000)
    assert.strictEqual(word, "EACCES")
    const status = String(
      await ask(`return require("node:fs").readFileSync("/proc/self/status", "utf8")`)
    )
    assert.match(status, /CapEff:\t0+\n/)
    assert.match(status, /CapBnd:\t0+\n/)
    assert.match(status, /NoNewPrivs:\t1\n/)
    const users = (await allProcesses()).map(({ pid }) =>
      readFile(`/proc/${pid}/status`, "utf8").then(
        (text) => /^Uid:\t200000\t/m.test(text),
        () => false
      )
    )
    assert.isTrue((await Promise.all(users)).some(Boolean))
  })

  it("makes only the system calls of the list, and sees of the kernel what concerns it", async () => {
    if (!sandboxed) return
    const notes = edge.processes.isolation.notes.join("\n")
    assert.notInclude(notes, "system call filter")
    const tries = await ask(`
      const fs = require("node:fs")
      const attempt = (act) => { try { return act() } catch (error) { return error.code } }
      return {
        status: fs.readFileSync("/proc/1/status", "utf8") + fs.readFileSync("/proc/self/status", "utf8"),
        comm: attempt(() => fs.writeFileSync("/proc/self/comm", "x")),
        keys: attempt(() => fs.readFileSync("/proc/keys", "utf8")),
        bus: attempt(() => fs.readdirSync("/proc/bus")),
        device: attempt(() => fs.writeFileSync("/dev/x", "x")),
        shared: attempt(() => fs.writeFileSync("/dev/shm/x", "x")),
        sharedSize: (({ bsize, blocks }) => bsize * blocks)(fs.statfsSync("/dev/shm")),
        sys: attempt(() => fs.readdirSync("/sys"))
      }`)
    const { status, ...seen } = tries as Record<string, unknown>
    assert.lengthOf(String(status).match(/^Seccomp:\t2$/gm) ?? [], 2)
    assert.deepStrictEqual(seen, {
      comm: "EROFS",
      keys: "EACCES",
      bus: [],
      device: "EROFS",
      sharedSize: 256 * 1024 * 1024,
      sys: "ENOENT"
    })
  })

  it("is a stranger's only where a sandbox fences it, and the layers are told with how they are known", async () => {
    const { layers = [] } = edge.processes.isolation
    const states = Object.fromEntries<string>(layers.map(({ layer, state }) => [layer, state]))
    assert.isEmpty(layers.filter(({ detail, proof }) => detail === "" || proof === ""))
    const outside = {
      "host user": root ? "holds" : "missing",
      network: network ? "holds" : "missing"
    }
    const inside = { namespaces: "holds", "system calls": "holds", rights: "holds", files: "holds" }
    assert.deepInclude(states, {
      ...(sandboxed ? inside : { sandbox: "missing" }),
      ...outside
    })
    const strangers = await edge.run(evaluator, { tenant: 1 })
    if (sandboxed && network) {
      await strangers.healthy()
      return strangers.process.stop(0)
    }
    const failure = await strangers.failed()
    assert.strictEqual(failure.code, "no_sandbox")
    assert.include(failure.cause, "the platform's own owner")
  })

  it("does not see the platform's home", async () => {
    const path = JSON.stringify(edge.home)
    const seen = await ask(`return require("node:fs").readdirSync(${path})`)
    if (sandboxed || root) assert.include(["ENOENT", "EACCES"], seen)
    else assert.isArray(seen)
  })

  it("trap 4: finds localhost, its user, its home and certificates", async () => {
    assert.include(
      ["127.0.0.1", "::1"],
      await ask(`
      return (await require("node:dns/promises").lookup("localhost")).address`)
    )
    assert.isString(await ask(`return require("node:os").homedir()`))
    if (sandboxed)
      assert.strictEqual(await ask(`return require("node:os").userInfo().username`), "service")
    for (const variable of ["HOME", "TMPDIR"]) {
      const path = `process.env.${variable} + "/file"`
      assert.strictEqual(await ask(`require("node:fs").writeFileSync(${path}, "x"); return 1`), 1)
    }
    const bundle = "/etc/ssl/certs/ca-certificates.crt"
    const here = await readFile(bundle, "utf8").catch(() => null)
    if (here === null) return
    assert.strictEqual(
      await ask(`return require("node:fs").readFileSync("${bundle}", "utf8").length`),
      here.length
    )
    if (sandboxed)
      assert.strictEqual(await ask(`return require("node:fs").existsSync("/etc/shadow")`), false)
  })

  it("trap 5: may listen below port 1024 in its own network", async () => {
    if (!network) return assert.isFalse(edge.processes.isolation.network)
    const service = await edge.run(
      `require("node:http").createServer((q, a) => a.end("eighty")).listen(80)`
    )
    const endpoint = await service.healthy()
    assert.strictEqual(endpoint.port, 80)
    assert.strictEqual(await fetchText(endpoint), "eighty")
    await service.process.stop(0)
  })

  it("reaches neither the host nor another process, but answers", async () => {
    const listener = createServer((socket) => socket.end("reached"))
    await new Promise<void>((done) => listener.listen(0, "0.0.0.0", done))
    const address = listener.address()
    const port = typeof address === "object" ? address?.port : 0
    const other = await edge.run(evaluator)
    const endpoint = await other.healthy()
    const reach = (host: string, to: number | undefined) =>
      ask(`return await new Promise((resolve) => {
        const socket = require("node:net").connect({ host: "${host}", port: ${to}, timeout: 1000 })
        socket.once("connect", () => resolve("connected"))
        socket.once("error", (error) => resolve(error.code))
        socket.once("timeout", () => resolve("timeout"))
      })`)
    try {
      if (!network) return assert.strictEqual(await reach("127.0.0.1", port), "connected")
      const own = await ask(`
        return Object.values(require("node:os").networkInterfaces()).flat().map((one) => one.address)`)
      const mine = /10\.231\.(\d+)\.(\d+)/.exec(String(own)) ?? []
      const gateway = `10.231.${mine[1]}.${Number(mine[2]) - 1}`
      // The way exists: the edge itself takes it.
      assert.strictEqual(await ask("return 1"), 1)
      if (await findProgram("nft", ["/usr/sbin"])) {
        assert.notStrictEqual(await reach(gateway, port), "connected")
      }
      assert.notStrictEqual(await reach(endpoint.host, endpoint.port), "connected")
      assert.notStrictEqual(await reach("169.254.169.254", 80), "connected")
      assert.notStrictEqual(await reach("127.0.0.1", port), "connected")
    } finally {
      listener.close()
      await other.process.stop(0)
    }
  })

  it("trap 7: a frozen one stops too, after it has heard SIGTERM", async () => {
    const service = await edge.run(`${evaluator}
      process.on("SIGTERM", () => { console.log("thawed"); process.exit(0) })`)
    await service.healthy()
    const groups = await findControlGroups()
    const freezer = groups?.roots.get("freezer")
    if (!freezer || !groups || !root) return service.process.stop(0)
    const names = (await readdir(freezer)).filter((name) =>
      name.startsWith(namespacePrefix(edge.homeId))
    )
    const [file, word] = groups.version === 1 ? ["freezer.state", "FROZEN"] : ["cgroup.freeze", "1"]
    for (const name of names) await writeFile(join(freezer, name, file), word)
    const frozen = (await Promise.all(names.map((name) => processesOf({ groups, name })))).flat()
    assert.isAtLeast(frozen.length, 3)
    await service.process.stop(10_000)
    assert.include(service.lines, "stdout: thawed")
    for (const name of names) {
      const state = groups.version === 1 ? "THAWED" : "0"
      await writeFile(join(freezer, name, file), state).catch(() => {})
    }
  })

  it("dies with the edge, and the next edge of this home removes what is left", async () => {
    const pids = await killedEdge(edge.home, `${edge.homeId}0`, "auto", without)
    assert.isAtLeast(pids.length, 2)
    const heir = await openTestEdge({ without, home: edge.home, homeId: `${edge.homeId}0` })
    assert.deepStrictEqual(await livingOf(pids), [])
    await heir.close()
    assert.deepStrictEqual(await leftovers(`${edge.homeId}0`), [])
  })
})

describe("reaping", () => {
  it("kills no stranger whose pid was once recorded", async () => {
    const stranger = spawn("sleep", ["60"], { detached: true })
    const first = await openTestEdge()
    const pids = join(first.home, "run", "processes", "pids")
    await mkdir(pids, { recursive: true })
    const boot = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim()
    await writeFile(join(pids, String(stranger.pid)), `${boot} 12345`)
    const heir = await openTestEdge({ home: first.home, homeId: first.homeId })
    try {
      assert.deepStrictEqual(await readdir(pids), [])
      assert.notStrictEqual((await processStatus(stranger.pid ?? 0))?.state ?? "Z", "Z")
    } finally {
      stranger.kill("SIGKILL")
      await heir.close()
      await first.close()
    }
  })

  it("names links shorter than the kernel's limit", () => {
    assert.isAtMost(`${linkPrefix("a".repeat(60))}123456`.length, 15)
  })
})
