import { assert, describe, it } from "vitest"
import { systemCallFilter } from "./SystemCallFilter.ts"
import { type Architecture, auditArchitecture, numbersOf } from "./SystemCallNumbers.ts"

const allowed = "allowed"
const killed = "killed"
const notPermitted = "errno 1"
const notThere = "errno 38"
const noSuchFamily = "errno 97"

/** What the kernel does with such a program: seccomp(2), linux/filter.h. */
const judge = (
  program: Uint8Array,
  architecture: number,
  call: number,
  args: ReadonlyArray<number>
): string => {
  const data = new DataView(new ArrayBuffer(64))
  data.setUint32(0, call, true)
  data.setUint32(4, architecture, true)
  for (const [index, value] of args.entries()) data.setUint32(16 + index * 8, value, true)
  const view = new DataView(program.buffer)
  for (let at = 0, value = 0; ; at++) {
    const [code, jt, jf] = [
      view.getUint16(at * 8, true),
      view.getUint8(at * 8 + 2),
      view.getUint8(at * 8 + 3)
    ]
    const k = view.getUint32(at * 8 + 4, true)
    if (code === 0x06) {
      return k === 0x7fff0000 ? allowed : k === 0x80000000 ? killed : `errno ${k & 0xffff}`
    }
    if (code === 0x20) value = data.getUint32(k, true)
    else if (code === 0x05) at += k
    else {
      const holds = code === 0x15 ? value === k : code === 0x35 ? value >= k : (value & k) !== 0
      at += holds ? jt : jf
    }
  }
}

describe.each<{ architecture: Architecture; other: Architecture }>([
  { architecture: "x64", other: "arm64" },
  { architecture: "arm64", other: "x64" }
])("the system calls of a service on $architecture", ({ architecture, other }) => {
  const program = systemCallFilter(architecture) ?? new Uint8Array()
  const numbers = numbersOf(architecture)
  const call = (name: string, ...args: ReadonlyArray<number>) => {
    const number = numbers.get(name)
    assert(number !== undefined, `${name} has no number`)
    return judge(program, auditArchitecture[architecture], number, args)
  }

  it.each(
    "read openat mmap futex execve getrandom epoll_pwait statx memfd_create landlock_add_rule rseq mseal".split(
      " "
    )
  )("%s is allowed", (name) => assert.strictEqual(call(name), allowed))

  it.each(
    `mount umount2 pivot_root chroot move_mount mount_setattr setns ptrace process_vm_readv pidfd_getfd bpf
    io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key perf_event_open userfaultfd
    kexec_load init_module finit_module delete_module open_by_handle_at quotactl reboot settimeofday swapon
    syslog sethostname open_tree_attr`.split(/\s+/)
  )("%s is refused", (name) => assert.strictEqual(call(name), notPermitted))

  it.each<[string, string, ReadonlyArray<number>, string]>([
    ["a thread", "clone", [0x3d0f00], allowed],
    ["a process", "clone", [17], allowed],
    ["a user namespace", "clone", [0x10000011], notPermitted],
    ["a cgroup namespace", "clone", [0x02000011], notPermitted],
    ["flags that can't be seen", "clone3", [0], notThere],
    ["own descriptors", "unshare", [0x400], allowed],
    ["a user namespace", "unshare", [0x10000000], notPermitted],
    ["a network", "unshare", [0x40000000], notPermitted],
    ["a clock", "unshare", [0x80], notPermitted],
    ["a Unix socket", "socket", [1, 1, 0], allowed],
    ["IPv4", "socket", [2, 1, 0], allowed],
    ["IPv6", "socket", [10, 1, 0], allowed],
    ["asking for routes", "socket", [16, 3, 0], allowed],
    ["netfilter", "socket", [16, 3, 12], noSuchFamily],
    ["packets", "socket", [17, 3, 0], noSuchFamily],
    ["the hypervisor", "socket", [40, 1, 0], noSuchFamily],
    ["the kernel's ciphers", "socket", [38, 5, 0], noSuchFamily],
    ["a pair", "socketpair", [1, 1, 0], allowed],
    ["32 bits", "personality", [8], allowed],
    ["a question", "personality", [0xffffffff], allowed],
    ["fixed addresses", "personality", [0x40000], notPermitted],
    ["the window's size", "ioctl", [0, 0x5413], allowed],
    ["typing into a terminal", "ioctl", [0, 0x5412], notPermitted],
    ["pasting into a terminal", "ioctl", [0, 0x541c], notPermitted]
  ])("%s (%s) is judged by its argument", (_, name, args, verdict) => {
    assert.strictEqual(call(name, ...args), verdict)
  })

  it("knows no calls of tomorrow, and none of another machine", () => {
    const last = Math.max(...numbers.values())
    const at = auditArchitecture[architecture]
    for (const number of [last + 1, 1000, 0x40000000, 0xffffffff]) {
      assert.strictEqual(judge(program, at, number, []), notThere)
    }
    // The x32 ABI's read.
    assert.strictEqual(judge(program, at, 0x40000000, []), notThere)
    assert.strictEqual(judge(program, auditArchitecture[other], 0, []), killed)
    // AUDIT_ARCH_I386, AUDIT_ARCH_ARM: 32-bit calls on a 64-bit kernel.
    for (const narrow of [0x40000003, 0x40000028]) {
      assert.strictEqual(judge(program, narrow, 1, []), killed)
    }
  })

  it("counts as the kernel does", () => {
    const known = {
      x64: {
        read: 0,
        socket: 41,
        clone: 56,
        ptrace: 101,
        mount: 165,
        unshare: 272,
        bpf: 321,
        rseq: 334
      },
      arm64: {
        read: 63,
        socket: 198,
        clone: 220,
        ptrace: 117,
        mount: 40,
        unshare: 97,
        bpf: 280,
        rseq: 293
      }
    }
    const both = {
      clone3: 435,
      openat2: 437,
      futex_waitv: 449,
      cachestat: 451,
      mseal: 462,
      file_setattr: 469
    }
    for (const [name, number] of Object.entries({ ...known[architecture], ...both })) {
      assert.strictEqual(numbers.get(name), number, name)
    }
  })
})

it("other machines have no filter", () => {
  assert.isNull(systemCallFilter("riscv64"))
})
