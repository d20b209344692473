/** What can go wrong, as data: one line of meaning and one next step for each code. */
import { Schema } from "effect"

/** Where in the life of a request or a deployment it went wrong. */
export const Phase = Schema.Literals([
  "request",
  "source",
  "build",
  "start",
  "health",
  "route",
  "run"
])
export type Phase = typeof Phase.Type

export interface Entry {
  readonly phase: Phase
  readonly retryable: boolean
  /** What it stands for wherever it is met; the cause says it of the case at hand. */
  readonly meaning: string
  /** What to do now, when the place that fails knows nothing better. */
  readonly next: string
}

const entry = (phase: Phase, meaning: string, next: string, retryable = false): Entry => ({
  phase,
  retryable,
  meaning,
  next
})

export const catalogue = {
  // request
  invalid_argument: entry(
    "request",
    "A field has a value that its rule does not allow.",
    "Correct the named field and call again."
  ),
  unknown_argument: entry(
    "request",
    "The call has a field that the tool does not know.",
    "Remove the unknown field; the tool's schema lists the known ones."
  ),
  request_too_large: entry(
    "request",
    "The body of the request is longer than is allowed.",
    "Send less in one request."
  ),
  unauthorized: entry(
    "request",
    "The request carries no key or token that is valid.",
    "Send a valid key as 'Authorization: Bearer dk_live_…'."
  ),
  forbidden: entry(
    "request",
    "The key is valid, but may not do this.",
    "Use a key with the scope that is named, or ask its owner for one."
  ),
  not_found: entry(
    "request",
    "Nothing of this name is there for this key.",
    "Call list_services to see what exists."
  ),
  unknown_project: entry(
    "request",
    "There is no project of this name.",
    "Leave project out to use 'default', or name one that whoami lists."
  ),
  unknown_host: entry(
    "request",
    "There is no git host of this name.",
    "Leave host out to use the built-in git host."
  ),
  name_taken: entry(
    "request",
    "The name belongs to something with other settings.",
    "Choose another name, or use the existing one that is shown."
  ),
  hostname_taken: entry(
    "request",
    "Another service has got the hostname meanwhile.",
    "Call again with another hostname."
  ),
  settings_changed: entry(
    "request",
    "Somebody changed the settings since they were read.",
    "Look at the current settings that are shown, then call again with their revision."
  ),
  too_late: entry(
    "request",
    "The deployment has ended or its traffic has moved.",
    "Call rollback_service to go back to the release before."
  ),
  cannot_roll_back: entry(
    "request",
    "There is no kept release to go back to.",
    "Call list_deployments to see what was live."
  ),
  repository_in_use: entry(
    "request",
    "Services still deploy from the repository.",
    "Delete the services that follow it first."
  ),
  planned: entry(
    "request",
    "The call asked for its plan only, so nothing was changed.",
    "Call again without plan to do it."
  ),
  variable_reserved: entry(
    "request",
    "The platform sets a variable of this name itself.",
    "Rename the variable; the platform sets this one itself."
  ),
  idempotency_conflict: entry(
    "request",
    "The idempotency_key was used for another request.",
    "Use a new idempotency_key for a different request."
  ),
  limit_reached: entry(
    "request",
    "There is already as much of it as is allowed.",
    "Remove something that is no longer needed, then try again."
  ),
  rate_limited: entry(
    "request",
    "Too many wrong tries came in a short time, or too many requests or deployments are under way at a time.",
    "Wait for retry_after seconds, then call again.",
    true
  ),
  nothing_to_deploy: entry(
    "request",
    "There is no deployment yet, or nothing to make one of.",
    "Push a commit to the branch that the service follows."
  ),
  internal: entry(
    "request",
    "The platform has a fault; the reference finds it in its log.",
    "Try again; if it stays, give the reference to the operator.",
    true
  ),
  unavailable: entry(
    "request",
    "A part of the platform does not answer at the moment.",
    "Try again in a few seconds.",
    true
  ),
  // source
  repository_missing: entry(
    "source",
    "The repository is not there.",
    "Create it with create_repo, then git push."
  ),
  branch_missing: entry(
    "source",
    "The repository has no such branch or commit.",
    "Push that branch, or call update_service with a branch that exists."
  ),
  root_directory_missing: entry(
    "source",
    "The commit has no folder of the name in root_directory.",
    "Set root_directory to a folder that exists in the repository."
  ),
  source_too_large: entry(
    "source",
    "The commit or the push is larger than is allowed.",
    "Remove large files from the repository."
  ),
  push_refused: entry(
    "source",
    "git could not push.",
    "Read the reason, correct it and push again."
  ),
  // build
  unknown_kind: entry(
    "build",
    "No file says what kind of project it is.",
    "Add an index.html or a package.json, or set build_pack and start_command."
  ),
  type_mismatch: entry(
    "build",
    "The commit does not make a service of the type that was set.",
    "Leave type out to have it detected, or change the commit."
  ),
  toolchain_missing: entry(
    "build",
    "The machine lacks a program that the build needs.",
    "Ask the operator to install the toolchain that is named."
  ),
  no_start_command: entry(
    "build",
    "Nothing says how the service is started.",
    'Add "start" to the scripts of package.json, or set start_command.'
  ),
  manifest_invalid: entry(
    "build",
    "A file that describes the project can not be read.",
    "Correct the file that is named and push again."
  ),
  lockfile_missing: entry(
    "build",
    "There are dependencies, but no lockfile beside them.",
    "Run npm install, commit package-lock.json and push again."
  ),
  lockfile_outdated: entry(
    "build",
    "The lockfile does not match the dependencies.",
    "Run npm install, commit package-lock.json and push again."
  ),
  install_failed: entry(
    "build",
    "The dependencies could not be installed.",
    "Read the evidence, correct the dependencies and push again."
  ),
  build_failed: entry(
    "build",
    "The build command ended with an error.",
    "Read the evidence, correct the source and push again."
  ),
  build_timed_out: entry(
    "build",
    "A step of the build took longer than is allowed.",
    "Make the build shorter, or ask the operator for a longer limit."
  ),
  disk_full: entry(
    "build",
    "The platform's disk is almost full, so nothing new is built; what runs goes on.",
    "Ask whoever runs the platform to free some of its disk, then call redeploy_service.",
    true
  ),
  quota_exceeded: entry(
    "build",
    "The owner has as many bytes of it as one owner may have; what runs goes on.",
    "Delete services that are no longer needed; what is in the trash counts until its retention is over. Or ask whoever runs the platform for a larger quota. whoami shows the use."
  ),
  output_too_large: entry(
    "build",
    "What the build left is larger than is allowed, or it wrote too much while it ran.",
    "Make the build output smaller; commit no dependencies or caches."
  ),
  // start and health
  no_sandbox: entry(
    "start",
    "Nothing fences owners' services from each other on this machine, so only those of the platform's own owner run on it; or the sandbox that the operator chose does not work, and none are run.",
    "Ask whoever runs the platform to install bubblewrap, util-linux and iproute2, or what DEPLOY_MCP_SANDBOX asks for, and start it again; deploy-mcp doctor says what is missing."
  ),
  start_failed: entry(
    "start",
    "The start command could not be run.",
    "Correct start_command and push again."
  ),
  exited: entry(
    "start",
    "The process ended before it answered.",
    "Read the evidence; the process must stay running and listen on PORT. What ends by itself is run by a schedule."
  ),
  missing_module: entry(
    "start",
    "The program loads a module that is not installed.",
    "Add the module to package.json (or requirements.txt), renew the lockfile, commit and push."
  ),
  out_of_memory: entry(
    "start",
    "The process used more memory than it may.",
    "Raise memory for the service, or use less of it at start."
  ),
  no_port: entry(
    "health",
    "The process runs, but listens on no port.",
    "Listen on the port in the PORT environment variable."
  ),
  wrong_port: entry(
    "health",
    "The process listens on another port than the service has.",
    "Listen on process.env.PORT, or call update_service with the port that is shown in patch."
  ),
  loopback_only: entry(
    "health",
    "The process listens where only itself can reach it.",
    "Listen on 0.0.0.0 instead of 127.0.0.1."
  ),
  fixed_port: entry(
    "health",
    "The process wants a port that another one has.",
    "Listen on process.env.PORT, so that two releases can run side by side."
  ),
  unhealthy: entry(
    "health",
    "The process answers, but with an error.",
    "Make the health path answer with a status below 400 (or / below 500)."
  ),
  kind_unsupported: entry(
    "start",
    "The node that is to run the service can't run one of this kind.",
    "Ask whoever runs the platform to restart its edge in this version; or give the service a port, or another region."
  ),
  crash_loop: entry(
    "run",
    "A live process ends again and again.",
    "Read the logs with get_logs, correct the fault and push again."
  ),
  paused: entry(
    "run",
    "A live process ended so often that it is not started any more.",
    "Read the logs with get_logs. To resume: correct the fault and push; or call redeploy_service as it is, or rollback_service."
  ),
  // ends that are nobody's fault
  superseded: entry(
    "request",
    "A newer deployment took over.",
    "Nothing to do: a newer deployment took over."
  ),
  cancelled: entry(
    "request",
    "The deployment was cancelled or its service deleted.",
    "Call redeploy_service to deploy again."
  )
} as const satisfies Record<string, Entry>
