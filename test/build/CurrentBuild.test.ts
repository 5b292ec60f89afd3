import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync
} from "node:fs"
import { dirname, join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { buildKey } from "../../scripts/build/Sources.mjs"
import { childrenOf } from "../../src/embedded-postgres/Postmaster.ts"
import { checkoutCopy, run } from "../support/Checkout.ts"
import { signingSecret } from "../support/Gravitas.ts"
import { fromBuild, program, project } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { freshDatabase } from "../support/TestDatabase.ts"

/** Every file and folder below `folder`, with what changes when one of them is written. */
const snapshot = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .concat(".")
    .sort()
    .map((name) => {
      const { ctimeMs, ino, mtimeMs, size } = lstatSync(join(folder, name))
      return [name, ino, size, mtimeMs, ctimeMs].join(" ")
    })

/** What one of two snapshots has alone: a diff of the whole would take minutes. */
const changes = (before: ReadonlyArray<string>, after: ReadonlyArray<string>): ReadonlyArray<string> => {
  const [former, latter] = [new Set(before), new Set(after)]
  return [...before.filter((line) => !latter.has(line)), ...after.filter((line) => !former.has(line))]
}

const buildsIn = (checkout: string) =>
  readdirSync(join(checkout, "dist")).filter((name) => lstatSync(join(checkout, "dist", name)).isDirectory())

const another = 65_534

const isRoot = process.getuid?.() === 0

const version = (checkout: string, umask = "022") =>
  run(["sh", "-c", `umask ${umask}; exec "$@"`, "sh", ...fromBuild(checkout), "--version"], { directory: checkout })

const refusal = (message: RegExp) => ({ code: 1, stdout: "", stderr: expect.stringMatching(message) })

/** The files that a key is made of, and nothing that builds. */
const sourcesOnly = Effect.map(temporaryHome, (home) => {
  const files = [
    "src/main.ts",
    "migrations/a.sql",
    "scripts/build/run.mjs",
    "package.json",
    "node_modules/.pnpm/lock.yaml"
  ]
  for (const file of files) {
    mkdirSync(dirname(join(home, file)), { recursive: true })
    writeFileSync(join(home, file), file)
  }
  return home
})

describe("the build", () => {
  it.scopedLive(
    "is made once by starts at the same time, not written again while it is current, and made again when it is stale",
    () =>
      Effect.gen(function* () {
        const checkout = yield* checkoutCopy
        const start = (uid?: number) =>
          run([...fromBuild(checkout), "--version"], { directory: checkout, ...(uid === undefined ? {} : { uid }) })

        const starts = yield* Effect.all([start(), start()], { concurrency: 2 })
        for (const started of starts) expect(started).toEqual({ code: 0, stdout: "0.1.0\n\n", stderr: "" })
        expect(readdirSync(join(checkout, "dist")).length).toBe(2)

        const before = snapshot(checkout)
        expect(yield* start()).toMatchObject({ code: 0, stdout: "0.1.0\n\n" })
        const build = yield* run([process.execPath, "scripts/build/build.mjs"], { directory: checkout })
        expect(build).toMatchObject({
          code: 0,
          stdout: expect.stringMatching(/^dist\/[0-9a-f]+\/main\.mjs is current\n$/)
        })
        expect(changes(before, snapshot(checkout))).toEqual([])

        // Stale, in a folder that this user may not write.
        appendFileSync(join(checkout, "src/main.ts"), "// changed\n")
        chmodSync(join(checkout, "dist"), 0o555)
        // The installed packages may lie where this user cannot read.
        const packages = join(checkout, "node_modules")
        unlinkSync(packages)
        mkdirSync(join(packages, ".pnpm"), { recursive: true })
        copyFileSync(join(project, "node_modules/.pnpm/lock.yaml"), join(packages, ".pnpm/lock.yaml"))
        const stale = snapshot(checkout)
        const refused = yield* start(isRoot ? another : undefined)
        expect(refused).toMatchObject({ code: 1, stdout: "" })
        expect(refused.stderr).toMatch(
          /^gravitas: The build is older than the sources, and .*dist cannot be written \(EACCES\)\. Run pnpm build /
        )
        expect(changes(stale, snapshot(checkout))).toEqual([])

        rmSync(packages, { recursive: true })
        symlinkSync(join(project, "node_modules"), packages)
        chmodSync(join(checkout, "dist"), 0o755)
        expect(yield* start()).toMatchObject({ code: 0, stdout: "0.1.0\n\n" })
        // A program that runs from the old build still finds all of it.
        expect(buildsIn(checkout).length).toBe(2)

        // Only a build, as it is installed elsewhere.
        rmSync(join(checkout, "src"), { recursive: true })
        expect(yield* start()).toMatchObject({ code: 0, stdout: "0.1.0\n\n" })
        renameSync(join(checkout, "dist"), join(checkout, "../moved"))
        rmSync(checkout, { recursive: true })
        expect(
          yield* run([process.execPath, "moved/main.mjs", "--version"], { directory: join(checkout, "..") })
        ).toMatchObject({ code: 0, stdout: "0.1.0\n\n" })
      }),
    300_000
  )

  it.scopedLive(
    "has the key of the sources that it was made of when they change during the build",
    () =>
      Effect.gen(function* () {
        const checkout = yield* checkoutCopy
        const edit = Effect.try(() => {
          if (!readdirSync(join(checkout, "dist")).some((name) => name.startsWith(".building-")))
            throw new Error("not yet")
          appendFileSync(join(checkout, "src/main.ts"), "// changed during the build\n")
        }).pipe(Effect.retry(Schedule.spaced("2 millis")))
        const [start] = yield* Effect.all([version(checkout), edit], { concurrency: 2 })
        expect(start).toEqual({ code: 0, stdout: "0.1.0\n\n", stderr: "" })
        expect(buildsIn(checkout)).toEqual([buildKey(checkout)])
      }),
    300_000
  )

  it.scopedLive("has a key of the sources and of the installed packages, not of an editor's own files", () =>
    Effect.gen(function* () {
      const folder = yield* sourcesOnly
      const key = buildKey(folder)
      symlinkSync("user@host.1234", join(folder, "src/.#main.ts"))
      symlinkSync("not-there", join(folder, "src/dangling.ts"))
      symlinkSync("..", join(folder, "src/above"))
      for (const name of [".main.ts.swp", "main.ts~", "#main.ts#"]) writeFileSync(join(folder, "src", name), "")
      expect(buildKey(folder)).toBe(key)
      for (const file of ["src/main.ts", "node_modules/.pnpm/lock.yaml"]) {
        const before = buildKey(folder)
        appendFileSync(join(folder, file), "changed")
        expect(buildKey(folder), file).not.toBe(before)
      }
    })
  )

  it.scopedLive(
    "is written by its owner alone whatever the umask, and is not run when other users could have changed it",
    () =>
      Effect.gen(function* () {
        const checkout = yield* checkoutCopy
        const dist = join(checkout, "dist")
        expect(yield* version(checkout, "000")).toMatchObject({ code: 0 })
        const files = readdirSync(dist, { recursive: true, encoding: "utf8" }).map((name) =>
          lstatSync(join(dist, name))
        )
        for (const { mode } of files.filter((one) => !one.isSymbolicLink()))
          expect([0o644, 0o755]).toContain(mode & 0o777)
        // A link would let a change of this folder reach the installed packages.
        expect(files.filter((one) => one.isFile() && one.nlink > 1).length).toBe(0)

        const build = join(dist, buildKey(checkout))
        for (const folder of [dist, build]) {
          chmodSync(folder, 0o777)
          expect(yield* version(checkout)).toMatchObject(
            refusal(/^gravitas: .*dist.* can be written by other users\. .*\n$/)
          )
          chmodSync(folder, 0o755)
        }
        if (isRoot) {
          chownSync(build, another, another)
          expect(yield* version(checkout)).toMatchObject(
            refusal(/^gravitas: .* belongs to user 65534, who could change it\. /)
          )
        }
        rmSync(dist, { recursive: true })
        expect(yield* version(checkout, "077")).toMatchObject({ code: 0 })
        for (const folder of [dist, build]) expect(lstatSync(folder).mode & 0o777).toBe(0o755)
      }),
    300_000
  )

  it.scopedLive(
    "leaves no process of the bundler beside the program that the start runs",
    () =>
      Effect.gen(function* () {
        const checkout = yield* checkoutCopy
        const running = yield* program({
          command: [...fromBuild(checkout), "gatekeeper"],
          environment: { DATABASE_URL: Redacted.value(yield* freshDatabase), JWT_SECRET_KEY: signingSecret }
        })
        yield* running.printed(/Gatekeeper\s+http:/, "3 minutes")
        expect(buildsIn(checkout)).toEqual([buildKey(checkout)])
        expect(childrenOf(running.pid)).toEqual([])
      }),
    300_000
  )

  it.scopedLive(
    "is not there: the start says why in one message",
    () =>
      Effect.gen(function* () {
        const checkout = yield* checkoutCopy
        const main = join(checkout, "src/main.ts")
        copyFileSync(main, `${main}.before`)
        writeFileSync(main, 'import "./NotThere.ts"\n')
        const failed = yield* version(checkout)
        expect(failed).toMatchObject(refusal(/gravitas: The build failed: .*Could not resolve "\.\/NotThere\.ts"/s))
        expect(failed.stderr).not.toContain("    at ")
        expect(readdirSync(join(checkout, "dist"))).toEqual([])
        const build = yield* run([process.execPath, "scripts/build/build.mjs"], { directory: checkout })
        expect(build).toMatchObject(refusal(/gravitas: The build failed: .*Could not resolve "\.\/NotThere\.ts"/s))
        expect(readdirSync(join(checkout, "dist"))).toEqual([])

        renameSync(`${main}.before`, main)
        unlinkSync(join(checkout, "node_modules"))
        expect(yield* version(checkout)).toMatchObject(
          refusal(/^gravitas: The build failed: Cannot find package 'esbuild'/)
        )

        rmSync(join(checkout, "src"), { recursive: true })
        expect(yield* version(checkout)).toMatchObject(
          refusal(/^gravitas: There is neither a build nor its sources in /)
        )
      }),
    300_000
  )
})
