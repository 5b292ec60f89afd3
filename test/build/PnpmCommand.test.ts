import { cpSync, existsSync, readFileSync, unlinkSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { checkoutCopy, run } from "../support/Checkout.ts"
import { project } from "../support/Program.ts"

/** The pnpm that runs the tests, else the one that package.json names. */
const pnpm = (): ReadonlyArray<string> => {
  const script = process.env["npm_execpath"] ?? ""
  if (/\bpnpm\.c?js$/.test(script)) return [process.execPath, script]
  return ["npx", "-y", JSON.parse(readFileSync(join(project, "package.json"), "utf8")).packageManager]
}

const runPnpm = (directory: string, ...words: ReadonlyArray<string>) =>
  run([...pnpm(), ...words], { directory, environment: { HOME: process.env["HOME"] ?? "" } })

describe("pnpm gravitas", () => {
  it.scopedLive(
    "prints the token alone, also when dist/ has a build",
    () =>
      Effect.gen(function* () {
        const checkout = yield* checkoutCopy
        unlinkSync(join(checkout, "node_modules"))
        for (const part of ["patches", "pnpm-workspace.yaml"]) {
          cpSync(join(project, part), join(checkout, part), { recursive: true })
        }
        // From the store of this checkout's own packages, so that nothing is downloaded.
        const store = (yield* runPnpm(project, "store", "path")).stdout.trim()
        const install = ["install", "--frozen-lockfile", "--offline", "--store-dir", store]
        expect(yield* runPnpm(checkout, ...install)).toMatchObject({ code: 0 })

        const token = { code: 0, stdout: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+\n$/), stderr: "" }
        expect(yield* runPnpm(checkout, "-s", "gravitas", "token", "Librarian")).toEqual(token)
        expect(existsSync(join(checkout, "dist/main.mjs"))).toBe(true)
        expect(yield* runPnpm(checkout, "-s", "gravitas", "token", "Librarian")).toEqual(token)
      }),
    300_000
  )
})
