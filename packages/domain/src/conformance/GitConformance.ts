/**
 * What "implements Git" means:
 *
 *     GitConformance.suite("mine", layer, { world, push, clone, folder, read, write })
 */
import { assert, layer as withLayer } from "@effect/vitest"
import { Effect, Layer, type Scope, Stream } from "effect"
import { type CommitFile, Git } from "../Git.ts"
import { RepositoryId } from "../model/Ids.ts"
import { BranchName, CommitSha, FilePath } from "../model/Names.ts"
import type { Repository } from "../model/Service.ts"
import * as Laws from "./Laws.ts"

/** Paths and what is in them. */
export type Files = Readonly<Record<string, string>>

export interface GitWorld<W> {
  /** What outlives an instance of the provider: a folder, a host. Made once for the suite. */
  readonly world: Layer.Layer<W, unknown>
  /** Makes a commit of exactly these files the head of a branch, as a person with a work tree does. */
  readonly push: (
    repository: Repository,
    branch: BranchName,
    files: Files
  ) => Effect.Effect<CommitSha, unknown, W | Git | Scope.Scope>
  /** What a person who clones the branch gets; fails when there is nothing to clone. */
  readonly clone: (
    repository: Repository,
    branch: BranchName
  ) => Effect.Effect<Files, unknown, W | Git | Scope.Scope>
  /** A path below an empty folder where nothing is yet. */
  readonly folder: Effect.Effect<string, unknown, W | Scope.Scope>
  readonly read: (folder: string) => Effect.Effect<Files, unknown, W>
  readonly write: (folder: string, files: Files) => Effect.Effect<unknown, unknown, W>
  /** Makes an empty repository unless it is there, for a provider that can only read what others have. */
  readonly make?: (repository: Repository) => Effect.Effect<unknown, unknown, W | Scope.Scope>
  /** What the provider must refuse with `Unsupported`. */
  readonly unsupported?: ReadonlyArray<"exchange" | "commit">
}

/** Hard to compress: a kilobyte of numbers that follow from each other. */
const randomLine = Array.from({ length: 100 }, (_, n) => (Math.sin(n + 1) * 1e9).toFixed(9)).join(
  ""
)
const main = BranchName.make("main")
const deep = BranchName.make("feature/deep")
const one: Files = { "index.html": "one", "folder/a.txt": "a\r\nb\n" }
const two: Files = { "index.html": "two" }

export const suite = <W>(
  name: string,
  provider: Layer.Layer<Git, unknown, W>,
  { world, push, clone, folder, read, write, make, unsupported = [] }: GitWorld<W>
): void => {
  const instance: Laws.Instance<Git, W | Scope.Scope> = (use) =>
    Effect.provide(use, Layer.fresh(provider), { local: true })
  const isThere = (id: Repository) => Git.use((git) => git.ensureRepository(id))
  const ensure = (id: Repository) =>
    make === undefined ? isThere(id) : Effect.andThen(make(id), isThere(id))
  const remove = (id: Repository) => Git.use((git) => git.removeRepository(id))
  const head = (id: Repository, branch = main) => Git.use((git) => git.head(id, branch))
  const branches = (id: Repository) => Git.use((git) => git.branches(id))
  const checkout = (id: Repository, commit: CommitSha, into: string) =>
    Git.use((git) => git.checkout(id, commit, into))

  withLayer(world, { excludeTestServices: true })(`${name} is a Git`, (it) => {
    it.effect("makes an empty repository", () => {
      const id = idOf(1)
      const look = Effect.all([head(id), branches(id)])
      return Laws.converges({ instance, change: ensure(id), look }, [null, []])
    })

    it.effect("lists a repository for as long as something of it is kept", () => {
      const id = idOf(13)
      const lists = Git.use(({ kept }) => kept).pipe(
        Effect.map((all) => all.filter((one) => one.id === id.id).map((one) => one.onlyHere))
      )
      // Whose repository it is its commits are only there.
      const isOurs = make === undefined
      return Effect.gen(function* () {
        yield* instance(ensure(id))
        assert.deepEqual(yield* instance(lists), isOurs ? [false] : [])
        const commit = yield* instance(push(id, main, one))
        yield* instance(checkout(id, commit, yield* folder))
        assert.deepEqual(yield* instance(lists), [isOurs])
        yield* instance(remove(id))
        assert.deepEqual(yield* instance(lists), [])
      })
    })

    it.effect("keeps what was pushed when it is asked to make the repository again", () => {
      const id = idOf(2)
      return Effect.gen(function* () {
        const [first, second] = yield* instance(
          Effect.andThen(ensure(id), Effect.all([push(id, main, one), push(id, deep, two)]))
        )
        const known = branches(id).pipe(
          Effect.map((all) => new Map(all.map(({ branch, commit }) => [branch, commit])))
        )
        const look = Effect.all([head(id), head(id, deep), known, clone(id, main), clone(id, deep)])
        const heads = new Map([
          [main, first],
          [deep, second]
        ])
        yield* Laws.converges({ instance, change: ensure(id), look }, [
          first,
          second,
          heads,
          one,
          two
        ])
      })
    })

    it.effect(
      "checks out a commit over whatever stood there, also when the first try was cut",
      () => {
        const id = idOf(3)
        return Effect.gen(function* () {
          const older = yield* instance(Effect.andThen(ensure(id), push(id, main, one)))
          const newer = yield* instance(push(id, main, two))
          assert.strictEqual(yield* instance(head(id)), newer)
          const into = yield* folder
          yield* write(into, { "stale.txt": "of an older build", "folder/b.txt": "b" })
          const look = Effect.map(read(into), withoutMarks)
          yield* Laws.converges({ instance, change: checkout(id, older, into), look }, one)
          yield* Laws.converges({ instance, change: checkout(id, newer, into), look }, two)
          yield* instance(Effect.timeoutOption(checkout(id, older, into), "1 millis"))
          yield* Laws.converges({ instance, change: checkout(id, older, into), look }, one)
        })
      }
    )

    const removes =
      make === undefined ? "removes a repository with all in it" : "leaves what belongs to others"
    it.effect(removes, () => {
      const id = idOf(4)
      return Effect.gen(function* () {
        const commit = yield* instance(Effect.andThen(ensure(id), push(id, main, one)))
        const look = Effect.all([head(id), branches(id)])
        if (make !== undefined) {
          const theirs = [commit, [{ branch: main, commit }]]
          return yield* Laws.converges({ instance, change: remove(id), look }, theirs)
        }
        yield* Laws.converges({ instance, change: remove(id), look }, [null, []])
        yield* Laws.converges({ instance, change: ensure(id), look }, [null, []])
        const into = yield* folder
        yield* Laws.isRejected(instance(checkout(id, commit, into)))
      })
    })

    const counts = "counts what it keeps of a repository, and nothing of one that is not there"
    it.effect(make === undefined ? counts : "counts nothing of what others keep", () => {
      const id = idOf(12)
      const bytes = instance(Git.use((git) => git.bytes(id)))
      return Effect.gen(function* () {
        assert.strictEqual(yield* bytes, 0)
        yield* instance(Effect.andThen(ensure(id), push(id, main, one)))
        const first = yield* bytes
        yield* instance(push(id, main, { ...two, more: randomLine }))
        const second = yield* bytes
        if (make !== undefined) return assert.deepStrictEqual([first, second], [0, 0])
        assert.isAbove(first, 0)
        assert.isAtLeast(second, first + randomLine.length / 2)
        const both = Git.use((git) => git.bytes(id))
        const around = Effect.all([both, Effect.andThen(remove(id), both)])
        assert.deepStrictEqual(yield* instance(around), [second, 0])
      })
    })

    it.effect("has nothing of a repository that was never made, and removes it", () => {
      const id = idOf(5)
      return instance(
        Effect.gen(function* () {
          assert.isNull(yield* head(id))
          yield* Effect.andThen(remove(id), remove(id))
          assert.isNull(yield* head(id))
        })
      )
    })

    it.effect("rejects a commit that is not there and one of another repository", () => {
      const [mine, other] = [idOf(6), idOf(7)]
      return Effect.gen(function* () {
        const commit = yield* instance(
          Effect.andThen(Effect.all([ensure(mine), ensure(other)]), push(other, main, one))
        )
        const into = yield* folder
        for (const wanted of [CommitSha.make("0".repeat(39).concat("1")), commit]) {
          yield* Laws.isRejected(instance(checkout(mine, wanted, into)))
        }
      })
    })

    it.effect("makes a repository once when two ask at the same time", () => {
      const id = idOf(8)
      return Effect.gen(function* () {
        yield* instance(Effect.all([ensure(id), ensure(id)], { concurrency: 2 }))
        yield* instance(push(id, main, one))
        assert.deepEqual(yield* instance(clone(id, main)), one)
      })
    })

    it.effect("is whole after making and removing were cut short", () => {
      const id = idOf(9)
      return Effect.gen(function* () {
        for (const cut of ["1 millis", "4 millis", "12 millis"] as const) {
          yield* instance(Effect.timeoutOption(ensure(id), cut))
          yield* instance(Effect.andThen(ensure(id), push(id, main, one)))
          yield* instance(Effect.timeoutOption(remove(id), cut))
          yield* instance(remove(id))
          if (make === undefined) assert.isNull(yield* instance(head(id)))
        }
      })
    })

    const commits = "makes a commit of exactly these files, and none when nothing differs"
    it.effect(unsupported.includes("commit") ? "says that it makes no commits" : commits, () => {
      const id = idOf(11)
      const commit = (files: Files) =>
        Git.use((git) => git.commit(id, main, filesOf(files), "by the kit"))
      return Effect.gen(function* () {
        yield* instance(ensure(id))
        if (unsupported.includes("commit")) {
          return yield* Laws.isUnsupported(instance(commit(two)))
        }
        yield* instance(push(id, main, one))
        const look = clone(id, main)
        yield* Laws.converges({ instance, change: commit(two), look }, two)
        const sha = yield* instance(head(id))
        assert.strictEqual(yield* instance(commit(two)), sha, "the same content again")
        assert.notStrictEqual(yield* instance(commit(one)), sha)
        assert.deepEqual(yield* instance(look), one)
        const nowhere = Git.use((git) => git.commit(idOf(12), main, filesOf(one), "by the kit"))
        yield* Laws.isRejected(instance(nowhere))
      })
    })

    Laws.throughStorms(it, {
      instance,
      steps: (place, chance) => {
        const id = at(place)
        const made = { name: "ensureRepository", change: ensure(id) }
        const gone = { name: "removeRepository", change: remove(id) }
        const files = () => ({ "index.html": `${chance.below(1_000_000)}`, "a.txt": "a" })
        const pushed = () => ({
          name: "a push",
          change: push(id, main, files()),
          isCalm: true
        })
        const other = () => {
          const wanted = filesOf(files())
          const change = Git.use((git) => git.commit(id, main, wanted, "by the kit"))
          const committed = { name: "commit", change }
          return chance.pick([
            [made],
            [pushed()],
            [unsupported.includes("commit") ? pushed() : committed],
            [gone, made, pushed()]
          ])
        }
        return [made, pushed(), ...Array.from({ length: 8 }, other).flat()]
      },
      look: (place) =>
        Effect.all([
          clone(at(place), main),
          Effect.map(branches(at(place)), (all) => all.map(({ branch }) => branch))
        ])
    })

    it.effect(unsupported.includes("exchange") ? "says that it has no HTTP" : "serves git", () => {
      const id = idOf(10)
      return Effect.gen(function* () {
        const commit = yield* instance(Effect.andThen(ensure(id), push(id, main, one)))
        const asked = instance(Effect.scoped(advertised(id)))
        if (unsupported.includes("exchange")) return yield* Laws.isUnsupported(asked)
        assert.include(yield* asked, commit)
      })
    })
  })
}

const filesOf = (files: Files): ReadonlyArray<CommitFile> =>
  Object.entries(files).map(([path, text]) => ({
    path: FilePath.make(path),
    content: new TextEncoder().encode(text)
  }))

/** The first request of every clone. */
const advertised = (repository: Repository) =>
  Effect.gen(function* () {
    const git = yield* Git
    const reply = yield* git.exchange({
      repository,
      access: "read",
      method: "GET",
      path: "/info/refs",
      query: "service=git-upload-pack",
      contentType: undefined,
      contentEncoding: undefined,
      protocol: undefined,
      body: Stream.empty,
      pushed: () => Stream.empty
    })
    assert.strictEqual(reply.status, 200)
    return yield* Stream.mkString(Stream.decodeText(reply.body))
  })

/** A repository of its own for each test. */
const idOf = (n: number): Repository => ({
  id: RepositoryId.make(`rep_${String(n).padStart(20, "c")}`),
  host: "git.example.test",
  owner: "kit",
  name: `repository-${n}`
})

const at = (place: string): Repository => ({
  ...idOf(0),
  id: RepositoryId.make(`rep_${place.padEnd(20, "d")}`),
  name: place
})

/** A provider may leave one file that says which commit this is. */
const withoutMarks = ({ ".commit": _, ...files }: Files): Files => files
