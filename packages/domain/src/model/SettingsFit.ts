/** Which settings a service of a type can have: what would do nothing is refused, not stored. */
import type { ServiceSettings } from "./Service.ts"

/** One setting that does not fit the others, and what to do. */
export interface Unfit {
  readonly setting: keyof ServiceSettings
  readonly rule: string
  readonly next: string
}

export const unfitSetting = (settings: ServiceSettings): Unfit | null => {
  const { build_pack, schedule, time_limit, type } = settings
  if (schedule !== undefined && type !== undefined && type !== "worker") {
    return {
      setting: "schedule",
      rule: `a service of type '${type}' always answers; what runs on a schedule has no port`,
      next: `Leave type out or set it to worker to run on a schedule, or leave schedule out.${reset("schedule")}`
    }
  }
  if (time_limit !== undefined && schedule === undefined) {
    return {
      setting: "time_limit",
      rule: "it ends the runs of a service that has a schedule",
      next: `Give a schedule as well, e.g. 30 3 * * *, or leave time_limit out.${reset("time_limit")}`
    }
  }
  const kind = schedule !== undefined ? "scheduled" : (type ?? "detected")
  const setting = unfit[kind]?.find((name) => settings[name] !== undefined)
  if (setting !== undefined) {
    return {
      setting,
      rule: `it says nothing of ${words[kind]}`,
      next: `Leave ${setting} out.${reset(setting)}`
    }
  }
  if (build_pack === "static" && (kind === "scheduled" || kind in programs)) {
    return {
      setting: "build_pack",
      rule: `static makes files, and ${words[kind]} is a program`,
      next: "Leave build_pack out, or use type webapp_static."
    }
  }
  return null
}

const reset = (setting: string) =>
  ` If the service has it already, update_service with reset ["${setting}"].`

const programs = { webapp: true, backend: true, worker: true }

const words = {
  webapp_static: "files",
  webapp: "a webapp",
  backend: "a backend",
  worker: "a worker, which has no port and never sleeps",
  scheduled: "a service with a schedule, which has no port and runs only when it is due",
  detected: "a service"
} as const

const portless = ["mode", "idle_after", "port", "health_path"] as const

const unfit: Partial<Record<keyof typeof words, ReadonlyArray<keyof ServiceSettings>>> = {
  webapp_static: [...portless, "start_command"],
  worker: portless,
  scheduled: portless
}
