/**
 * Which system calls a tenant's code may make, as a seccomp program. The rule is that of Docker's default
 * profile (github.com/moby/profiles, seccomp/default_linux.go) for a container without capabilities:
 * what is not on the list is refused. Refused here besides, since no service needs it: looking into other
 * processes, io_uring (where most of the kernel's recent holes were), the keyrings, rare families of sockets.
 *
 * Refused is EPERM; ENOSYS is what the list does not know, so that programs fall back as on an older
 * kernel, and `clone3`, whose flags a filter can't see. 32-bit calls end the process, and the x32 ones are
 * not on the list. That `clone` and the like still make threads and processes is for their flags to say.
 */
import {
  allow,
  type Decision,
  encode,
  failWith,
  field,
  ifAnyBit,
  ifAtLeast,
  ifEqual,
  ifOneOf,
  killProcess,
  load
} from "./FilterProgram.ts"
import { type Architecture, auditArchitecture, numbersOf } from "./SystemCallNumbers.ts"

/** For bubblewrap's `--seccomp`. Null: nobody knows the calls of such a machine. `architecture` as Node.js names it. */
export const systemCallFilter = (architecture: string): Uint8Array | null =>
  architecture === "x64" || architecture === "arm64" ? encode(programOf(architecture)) : null

const notPermitted = failWith(1)
const notThere = failWith(38)
const noSuchFamily = failWith(97)

/** Most of these need capabilities that nobody has here: then this is a second lock on the same door. */
const refused = new Set(
  [
    // What is seen of the file system.
    "mount umount2 pivot_root chroot fsopen fsconfig fsmount fspick open_tree open_tree_attr move_mount",
    "mount_setattr statmount listmount open_by_handle_at fanotify_init quotactl quotactl_fd acct swapon swapoff",
    // Code in the kernel, and the kernel itself.
    "bpf init_module finit_module delete_module kexec_load kexec_file_load reboot syslog",
    "settimeofday clock_settime sethostname setdomainname iopl ioperm vhangup modify_ldt",
    "io_uring_setup io_uring_enter io_uring_register userfaultfd",
    // Other processes and other networks, users and machines inside of this one.
    "ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd perf_event_open setns",
    "add_key request_key keyctl",
    // Where memory lies.
    "mbind get_mempolicy set_mempolicy set_mempolicy_home_node migrate_pages move_pages"
  ].flatMap((names) => names.split(" "))
)

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const newNamespaces = 0x7e020000
/** CLONE_NEWTIME; in `clone` the same bit belongs to the number of a signal. */
const newTime = 0x80

const sockets = load(
  field.argument(0),
  ifOneOf(
    // AF_UNIX, AF_INET, AF_INET6.
    [1, 2, 10],
    allow,
    ifEqual(
      // AF_NETLINK, of which libraries ask for addresses and routes alone (NETLINK_ROUTE).
      16,
      load(field.argument(2), ifEqual(0, allow, noSuchFamily)),
      noSuchFamily
    )
  )
)

/** What depends on an argument. The upper halves of these are unused or have to be zero. */
const judged: Readonly<Record<string, Decision>> = {
  clone: load(field.argument(0), ifAnyBit(newNamespaces, notPermitted, allow)),
  clone3: notThere,
  unshare: load(field.argument(0), ifAnyBit(newNamespaces | newTime, notPermitted, allow)),
  socket: sockets,
  socketpair: sockets,
  // PER_LINUX and PER_LINUX32, each also with UNAME26, and the question which it is.
  personality: load(
    field.argument(0),
    ifOneOf([0, 0x8, 0x20000, 0x20008, 0xffffffff], allow, notPermitted)
  ),
  // TIOCSTI and TIOCLINUX type into a terminal in somebody else's name.
  ioctl: load(field.argument(1), ifOneOf([0x5412, 0x541c], notPermitted, allow))
}

const programOf = (architecture: Architecture): Decision =>
  load(
    field.architecture,
    ifEqual(
      auditArchitecture[architecture],
      load(field.call, search(rangesOf(numbersOf(architecture)))),
      killProcess
    )
  )

interface Range {
  readonly first: number
  readonly decision: Decision
}

/** Neighbours with the same verdict are one range; the last one has no end. */
const rangesOf = (numbers: ReadonlyMap<string, number>): ReadonlyArray<Range> => {
  const names = new Map([...numbers].map(([name, number]) => [number, name]))
  const ranges: Array<Range> = []
  for (let first = 0; first <= Math.max(...numbers.values()) + 1; first++) {
    const decision = decisionOf(names.get(first))
    if (ranges.at(-1)?.decision !== decision) ranges.push({ first, decision })
  }
  return ranges
}

const decisionOf = (name: string | undefined): Decision =>
  name === undefined ? notThere : refused.has(name) ? notPermitted : (judged[name] ?? allow)

/** By halves: each call is judged after a few comparisons. */
const search = (ranges: ReadonlyArray<Range>): Decision => {
  const middle = ranges.length >> 1
  const [at] = ranges.slice(middle)
  if (at === undefined) return notThere
  return middle === 0
    ? at.decision
    : ifAtLeast(at.first, search(ranges.slice(middle)), search(ranges.slice(0, middle)))
}
