#!/usr/bin/env node
/** `npm run check`: the static checks alone. */
import { runChecks } from "./checks.mjs"
import { ensureInstalled, runMain } from "./project.mjs"

await runMain(async () => {
  await ensureInstalled({ verbose: process.argv.includes("--verbose") })
  const results = await runChecks()
  if (results.some(({ status }) => status === "failed")) process.exitCode = 1
})
