import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { buildKey } from "../../scripts/build/Sources.mjs"
import { run } from "../support/Checkout.ts"
import { fromBuild, project } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"

/** The pnpm that runs the tests, else the one that package.json names. */
const pnpm = (): ReadonlyArray<string> => {
  const script = process.env["npm_execpath"] ?? ""
  if (/\bpnpm\.c?js$/.test(script)) return [process.execPath, script]
  return ["npx", "-y", JSON.parse(readFileSync(join(project, "package.json"), "utf8")).packageManager]
}

describe("pnpm gravitas", () => {
  it.scopedLive("prints the token alone, beside a build in dist/", () =>
    Effect.gen(function* () {
      expect(yield* run([...fromBuild(project), "--version"], { directory: project })).toMatchObject({ code: 0 })
      expect(existsSync(join(project, "dist", buildKey(project), "main.mjs"))).toBe(true)

      const environment = { HOME: process.env["HOME"] ?? "", GRAVITAS_HOME: yield* temporaryHome }
      const command = [...pnpm(), "-s", "gravitas", "token", "Librarian"]
      const token = { code: 0, stdout: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+\n$/), stderr: "" }
      expect(yield* run(command, { directory: project, environment })).toEqual(token)
    })
  )
})
