import { appendFileSync, chmodSync, lstatSync, readdirSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { checkoutCopy, run } from "../support/Checkout.ts"
import { fromBuild } from "../support/Program.ts"

/** Every file and folder below `folder`, with what changes when one of them is written. */
const snapshot = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .concat(".")
    .sort()
    .map((name) => {
      const { ctimeMs, ino, mtimeMs, size } = lstatSync(join(folder, name))
      return [name, ino, size, mtimeMs, ctimeMs].join(" ")
    })

const buildsIn = (checkout: string) =>
  readdirSync(join(checkout, "dist")).filter((name) => lstatSync(join(checkout, "dist", name)).isDirectory())

const another = 65_534

describe("the build", () => {
  it.scopedLive(
    "is made once by starts at the same time, not written again while it is current, and made again when it is stale",
    () =>
      Effect.gen(function* () {
        const checkout = yield* checkoutCopy
        const version = (uid?: number) =>
          run([...fromBuild(checkout), "--version"], { directory: checkout, ...(uid === undefined ? {} : { uid }) })

        const starts = yield* Effect.all([version(), version()], { concurrency: 2 })
        for (const start of starts) expect(start).toEqual({ code: 0, stdout: "0.1.0\n\n", stderr: "" })
        expect(readdirSync(join(checkout, "dist")).length).toBe(2)

        const before = snapshot(checkout)
        expect(yield* version()).toMatchObject({ code: 0, stdout: "0.1.0\n\n" })
        const build = yield* run([process.execPath, "scripts/build/build.mjs"], { directory: checkout })
        expect(build).toMatchObject({
          code: 0,
          stdout: expect.stringMatching(/^dist\/[0-9a-f]+\/main\.mjs is current\n$/)
        })
        expect(snapshot(checkout)).toEqual(before)

        // Stale, in a folder that this user may not write.
        appendFileSync(join(checkout, "src/main.ts"), "// changed\n")
        chmodSync(join(checkout, "dist"), 0o555)
        const stale = snapshot(checkout)
        const refused = yield* version(process.getuid?.() === 0 ? another : undefined)
        expect(refused).toMatchObject({ code: 1, stdout: "" })
        expect(refused.stderr).toMatch(
          /^gravitas: The build is older than the sources, and .*dist cannot be written \(EACCES\)\. Run pnpm build /
        )
        expect(snapshot(checkout)).toEqual(stale)

        chmodSync(join(checkout, "dist"), 0o755)
        expect(yield* version()).toMatchObject({ code: 0, stdout: "0.1.0\n\n" })
        // A program that runs from the old build still finds all of it.
        expect(buildsIn(checkout).length).toBe(2)

        // Only a build, as it is installed elsewhere.
        rmSync(join(checkout, "src"), { recursive: true })
        expect(yield* version()).toMatchObject({ code: 0, stdout: "0.1.0\n\n" })
        renameSync(join(checkout, "dist"), join(checkout, "../moved"))
        rmSync(checkout, { recursive: true })
        expect(
          yield* run([process.execPath, "moved/main.mjs", "--version"], { directory: join(checkout, "..") })
        ).toMatchObject({ code: 0, stdout: "0.1.0\n\n" })
      }),
    300_000
  )
})
