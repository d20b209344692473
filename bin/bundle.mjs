#!/usr/bin/env node
/**
 * Makes dist/{control,edge,cli}.mjs from the sources when they have changed. Bundles halve the time
 * to start and the memory. `npm run build` runs this by hand; every start runs it and skips it when
 * nothing changed.
 */
import { createHash } from "node:crypto"
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { createRequire } from "node:module"
import path from "node:path"
import { fileURLToPath } from "node:url"
import { dist, ensureInstalled, Problem, root, runMain } from "./project.mjs"

const entries = {
  control: "packages/runtime/src/control.ts",
  edge: "packages/edge/src/main.ts",
  cli: "packages/runtime/src/cli/main.ts"
}

/** The program to run; `name` is `control`, `edge` or `cli`. It loads the bundle beside it. */
export const bundle = (name) => path.join(dist, `${name}.mjs`)

/**
 * Node.js keeps compiled code here, which halves the time to start once more. By itself it does so when
 * a process ends, which one that is killed never comes to.
 */
const cache = path.join(dist, "cache")
const keepAfterMs = 10_000

const loader = (name) => `import { enableCompileCache, flushCompileCache } from "node:module"
enableCompileCache(import.meta.dirname + "/${path.basename(cache)}")
setTimeout(flushCompileCache, ${keepAfterMs}).unref()
await import("./${name}.main.mjs")
`

/** Returns the bundles that were made, none when all are fresh. Safe to run twice at once. */
export const ensureBundles = async () => {
  const names = Object.keys(entries).filter((name) => existsSync(path.join(root, entries[name])))
  const fingerprint = fingerprintOfSources()
  if (stamp() === fingerprint && names.every((name) => existsSync(bundle(name)))) return []
  const outputs = await build(names)
  try {
    mkdirSync(dist, { recursive: true })
    rmSync(cache, { recursive: true, force: true })
    for (const { path: file, contents } of outputs) replace(file, contents)
    for (const name of names) replace(bundle(name), loader(name))
    replace(stampFile, fingerprint)
  } catch (error) {
    throw new Problem(`cannot write to ${dist} (${error.code}); free some space or mend its owner.`)
  }
  return outputs.map(({ path: file, contents }) => ({ file, bytes: contents.length }))
}

/** An import of node:http looks at all that it exports; one of that is undici: 45 ms and 15 MiB for nothing. */
const withoutUndici = {
  name: "without-undici",
  setup: ({ onLoad, onResolve }) => {
    onResolve({ filter: /^(?:node:)?http$/ }, () => ({ path: "http", namespace: "lazy" }))
    onLoad({ filter: /^http$/, namespace: "lazy" }, () => ({
      contents: 'module.exports = process.getBuiltinModule("node:http")'
    }))
  }
}

const build = async (names) => {
  // Resolved from the project, so that it works wherever this file was linked from.
  const esbuild = createRequire(path.join(root, "package.json"))("esbuild")
  try {
    const { outputFiles } = await esbuild.build({
      absWorkingDir: root,
      entryPoints: Object.fromEntries(names.map((name) => [name, entries[name]])),
      outdir: dist,
      outExtension: { ".js": ".main.mjs" },
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node24",
      // Identifiers keep their names: they are what profiles and error reports show.
      minifyWhitespace: true,
      minifySyntax: true,
      legalComments: "none",
      define: { "process.env.NODE_ENV": '"production"' },
      // Native code cannot be bundled; redis is an optional part of a library that we never load.
      external: ["@node-rs/*", "*.node", "redis"],
      plugins: [withoutUndici],
      banner: {
        js: 'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);'
      },
      logLevel: "silent",
      write: false
    })
    return outputFiles
  } catch (error) {
    const messages = (error.errors ?? []).map(
      ({ text, location }) => `${location ? `${location.file}:${location.line}: ` : ""}${text}`
    )
    if (messages.length === 0) throw error
    throw new Problem(`the sources cannot be bundled:\n  ${messages.join("\n  ")}`)
  }
}

const stampFile = path.join(dist, "bundle.sha256")

const stamp = () => {
  try {
    return readFileSync(stampFile, "utf8")
  } catch {
    return undefined
  }
}

/** Everything a bundle is made of: sources, this file and the exact versions of the libraries. */
const fingerprintOfSources = () => {
  const hash = createHash("sha256")
  const add = (file) => hash.update(`${file}\0`).update(readFileSync(path.join(root, file)))
  add("bin/bundle.mjs")
  add("package-lock.json")
  for (const name of readdirSync(path.join(root, "packages")).sort()) {
    const source = path.join("packages", name, "src")
    if (!existsSync(path.join(root, source))) continue
    const files = readdirSync(path.join(root, source), { recursive: true, withFileTypes: true })
      .filter((file) => file.isFile() && !file.name.endsWith(".test.ts"))
      .map((file) => path.relative(root, path.join(file.parentPath ?? file.path, file.name)))
    for (const file of files.sort()) add(file)
  }
  return hash.digest("hex")
}

/** A running process keeps the file that it has opened; nobody ever sees half of one. */
const replace = (file, contents) => {
  const temporary = `${file}.${process.pid}`
  try {
    writeFileSync(temporary, contents)
    renameSync(temporary, file)
  } finally {
    rmSync(temporary, { force: true })
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await runMain(async () => {
    await ensureInstalled({ verbose: process.argv.includes("--verbose") })
    const made = await ensureBundles()
    for (const { file, bytes } of made) {
      console.log(`${path.relative(root, file)}  ${(bytes / 1024).toFixed(0)} KiB`)
    }
    if (made.length === 0) console.log("dist/ is fresh")
  })
}
