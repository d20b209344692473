/** Names, refs and paths: what their rules let in means nothing to a shell, to git or to a file system. */
import * as Names from "@deploy-mcp/domain/model/Names"
import { parseStaticPath } from "@deploy-mcp/edge/StaticPath"
import { Schema } from "effect"
import { assert, describe, it } from "vitest"
import { holds as holdsFor, patience } from "./Law.ts"
import { word } from "./Words.ts"

const {
  BranchName,
  FilePath,
  HostLabel,
  HttpPath,
  OwnerName,
  ProcessName,
  ProjectName,
  RelativePath,
  RepositoryName,
  RepositoryRef,
  ServiceName,
  VariableName
} = Names

/** A rule takes no time to ask. */
const holds = (law: (text: string) => void) => holdsFor(word, law, 2_000)

/** Of a name that is no path. */
const plain = /^[\w.-]+$/u
const neverIn = /\.\.|["'`$;&|<>*?!\\]/u

describe("what the rule lets in", () => {
  const rules: ReadonlyArray<[string, Schema.Codec<string>, (name: string) => void]> = [
    ["service", ServiceName, (name) => assert.match(name, plain)],
    ["project", ProjectName, (name) => assert.match(name, plain)],
    ["owner", OwnerName, (name) => assert.match(name, plain)],
    ["repository", RepositoryName, (name) => assert.match(name, plain)],
    ["host label", HostLabel, (name) => assert.match(name, /^[a-z0-9-]{1,63}$/u)],
    ["process", ProcessName, (name) => assert.match(name, plain)],
    ["variable", VariableName, (name) => assert.match(name, /^\w{1,128}$/u)],
    ["branch", BranchName, (name) => assert.notMatch(name, /^[-/.]|\/\/|\/\.|@\{|[/.]$|\.lock$/u)],
    ["repository of any host", RepositoryRef, (name) => assert.notMatch(name, /^-|@|#|%/u)],
    ["health path", HttpPath, (path) => assert.match(path, /^\//u)]
  ]
  it.each(rules)(
    "for a %s is nothing else to anybody",
    (_, schema, also) => {
      const accepts = Schema.is(schema)
      return holds((name) => {
        if (!accepts(name)) return
        also(name)
        assert.notMatch(name, /^-|[\p{Cc} ]/u)
        if (schema !== HttpPath) assert.notMatch(name, neverIn)
      })
    },
    patience
  )

  const paths: ReadonlyArray<[string, Schema.Codec<string>]> = [
    ["folder", RelativePath],
    ["file", FilePath]
  ]
  it.each(paths)(
    "for a %s stays below where it begins",
    (_, schema) => {
      const accepts = Schema.is(schema)
      return holds((path) => {
        if (!accepts(path)) return
        assert.notMatch(path, /^\/|(?:^|\/)\.\.(?:\/|$)|\0/u)
        if (schema === FilePath) assert.notMatch(path, /(?:^|\/)(?:\.git|git~\d+|\.?)(?:\/|$)/iu)
      })
    },
    patience
  )

  it(
    "for a site's path is a list of names",
    () =>
      holds((path) => {
        for (const name of parseStaticPath(`/${path}`) ?? []) {
          assert.notMatch(name, /[/\\\p{Cc}]|^\.(?!well-known$)|^$/u)
        }
      }),
    patience
  )
})
