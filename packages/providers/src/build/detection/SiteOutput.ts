/** Which folder of a built site is served, and whether it is one page that draws all addresses. */
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect } from "effect"
import { attempt, rejected } from "../BuildFault.ts"
import { type PackageJson, readPackageJson } from "./PackageJson.ts"
import { isDirectory, isFile, listing } from "./SourceTree.ts"

export interface SiteOutput {
  /** Relative to the folder that was built. */
  readonly publish: string
  readonly spa: boolean
}

/** `planned`: the folder that the plan names already. */
export const siteOutput = (
  app: string,
  planned: string | undefined
): Effect.Effect<SiteOutput, BuildError> =>
  Effect.gen(function* () {
    const manifest = yield* readPackageJson(app)
    const publish = planned ?? (yield* findPublished(app, manifest))
    if (!(yield* isDirectory(app, publish))) {
      const cause = `The folder '${publish}' is not there after the build.`
      return yield* rejected("build_failed", cause)
    }
    return { publish, spa: drawsPages(manifest) && (yield* isOnePage(join(app, publish))) }
  })

/** Where generators leave their pages unless they are told otherwise, the usual ones first. */
const outputs = [
  ...["dist", "build", "out", "public", "_site", ".output/public", "storybook-static"],
  ...[".vitepress/dist", "docs/.vitepress/dist", "src/.vuepress/dist", "docs/.vuepress/dist"]
]

const findPublished = (
  app: string,
  manifest: PackageJson | null
): Effect.Effect<string, BuildError> =>
  Effect.gen(function* () {
    for (const folder of outputs) if (yield* isFile(app, `${folder}/index.html`)) return folder
    const nested = yield* projectFolder(app)
    if (nested !== null) return nested
    if (manifest === null && (yield* isFile(app, "index.html"))) return "."
    const main = manifest?.main?.replace(/^\.\//u, "")
    const made = main !== undefined && (yield* isFile(app, main))
    return yield* rejected(
      "no_start_command",
      `The build made no index.html in ${outputs.slice(0, 5).join(", ")}, and package.json has no start script.`,
      made ? { patch: { start_command: `node ${main}` } } : {}
    )
  })

/** `dist/<project>/browser`, when there is just one of them. */
const projectFolder = (app: string): Effect.Effect<string | null, BuildError> =>
  Effect.gen(function* () {
    if (!(yield* isDirectory(app, "dist"))) return null
    const found: Array<string> = []
    for (const entry of yield* listing(join(app, "dist"))) {
      for (const folder of [`dist/${entry}browser`, `dist/${entry.replace(/\/$/u, "")}`]) {
        if (!entry.endsWith("/") || !(yield* isFile(app, `${folder}/index.html`))) continue
        found.push(folder)
        break
      }
    }
    return found.length === 1 ? (found[0] ?? null) : null
  })

/** Bundlers of applications whose addresses exist in the browser only. */
const bundlers = [
  ...["vite", "react-scripts", "@vue/cli-service", "@angular/cli", "@angular/build"],
  ...["@angular-devkit/build-angular", "parcel", "webpack", "@rsbuild/core", "@rspack/core"]
]
/** They write a file for each page, with one of the above inside. */
const generators = ["astro", "vitepress", "vuepress", "gatsby", "next", "nuxt", "@11ty/eleventy"]

const drawsPages = (manifest: PackageJson | null): boolean => {
  const uses = (name: string) =>
    Object.hasOwn(manifest?.dependencies ?? {}, name) ||
    Object.hasOwn(manifest?.devDependencies ?? {}, name)
  return bundlers.some(uses) && !generators.some(uses)
}

/** A site with more pages, or with one for what is not found, knows its addresses itself. */
const isOnePage = (directory: string): Effect.Effect<boolean, BuildError> =>
  attempt("read the build output", () => readdir(directory, { recursive: true })).pipe(
    Effect.map((names) => {
      const pages = names.filter((name) => name.endsWith(".html"))
      return pages.length === 1 && pages[0] === "index.html"
    })
  )
