/**
 * What `/proc` tells of the whole machine and no tenant's code needs, to be covered in a sandbox: Docker's list
 * (github.com/moby/moby, oci/defaults.go, MaskedPaths and ReadonlyPaths), names of keys and of what the kernel
 * has loaded. A machine has only some of them. That all of `/proc` is read-only is for the sandbox to say.
 */
export const maskedFiles: ReadonlyArray<string> = [
  "/proc/interrupts",
  "/proc/kallsyms",
  "/proc/kcore",
  "/proc/key-users",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/sysrq-trigger",
  "/proc/timer_list",
  "/proc/timer_stats"
]

export const maskedDirectories: ReadonlyArray<string> = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/bus",
  "/proc/dynamic_debug",
  "/proc/fs",
  "/proc/irq",
  "/proc/scsi"
]
