import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { pathToFileURL } from "node:url"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { run } from "../support/Checkout.ts"
import { fromBuild, fromSources, project } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"

const installed = dirname(createRequire(import.meta.url).resolve("tsx/package.json"))

const switchedOff = 'process.env.TSX_DISABLE_CACHE="1";\n'

/** Files of tsx that patches/tsx@….patch changes. */
const patched = () =>
  readdirSync(join(installed, "dist"))
    .filter((name) => /\.[cm]js$/.test(name))
    .filter((name) => readFileSync(join(installed, "dist", name), "utf8").includes(switchedOff))

/** The loader of a copy of tsx without the patch. */
const unpatchedLoader = (home: string): string => {
  const copy = join(home, "node_modules/tsx")
  cpSync(installed, copy, { recursive: true })
  symlinkSync(join(project, "node_modules/esbuild"), join(home, "node_modules/esbuild"))
  for (const name of patched()) {
    const path = join(copy, "dist", name)
    writeFileSync(path, readFileSync(path, "utf8").replace(switchedOff, ""))
  }
  return pathToFileURL(join(copy, "dist/loader.mjs")).href
}

const Entry = Schema.parseJson(
  Schema.Struct({ code: Schema.String }, Schema.Record({ key: Schema.String, value: Schema.Unknown }))
)

/** Puts code before each entry of the cache below `temporary` that leaves the file `mark` and ends the program. */
const plant = (temporary: string, mark: string): number => {
  const [name = ""] = readdirSync(temporary)
  const cache = join(temporary, name)
  // tsx writes its entries behind: a program that ends meanwhile leaves an empty one, which tsx does not load.
  const entries = readdirSync(cache)
    .map((entry) => join(cache, entry))
    .filter((path) => statSync(path).size > 0)
  for (const path of entries) {
    const entry = Schema.decodeUnknownSync(Entry)(readFileSync(path, "utf8"))
    const planted = `process.getBuiltinModule("node:fs").writeFileSync(${JSON.stringify(mark)}, ""); process.exit();`
    const code = `${planted}\n${entry.code}`
    writeFileSync(path, JSON.stringify({ ...entry, code }))
  }
  return entries.length
}

const { scripts } = Schema.decodeUnknownSync(
  Schema.parseJson(Schema.Struct({ scripts: Schema.Record({ key: Schema.String, value: Schema.String }) }))
)(readFileSync(join(project, "package.json"), "utf8"))

const byTsx = Object.values(scripts).filter((script) => script.includes("tsx"))

const tsxStart = /^node --import tsx (\S+\.ts)(?: --check)?$/

/** The program, and one of the scripts of package.json: tsx loads the others in the same way. The first also has `pnpm tsx`. */
const programs = [
  ["src/main.ts", "--version"],
  ["scripts/bench/main.ts", "--help"]
] as const

describe("a folder that another user has made where tsx keeps compiled code", () => {
  it.scopedLive(
    "has no effect on any documented start of the program",
    () =>
      Effect.gen(function* () {
        const home = yield* temporaryHome
        const temporary = join(home, "tmp")
        mkdirSync(temporary)
        const mark = join(home, "planted-code-ran")
        const start = (command: ReadonlyArray<string>) =>
          run(command, { directory: project, environment: { TMPDIR: temporary } })

        const unpatched = [process.execPath, "--import", unpatchedLoader(home)]
        for (const program of programs) yield* start([...unpatched, ...program])
        expect(plant(temporary, mark)).toBeGreaterThan(100)

        for (const program of programs) {
          yield* start([...fromSources, ...program])
          expect(existsSync(mark), program.join(" ")).toBe(false)
        }
        yield* start([join(project, "node_modules/.bin/tsx"), ...programs[0]])
        expect(existsSync(mark)).toBe(false)
        expect(yield* start([...fromBuild(project), "--version"])).toMatchObject({ code: 0 })
        expect(existsSync(mark)).toBe(false)

        // What the patch is for: without it the same folder chooses the code. So each start above loads its program.
        for (const program of programs) {
          yield* start([...unpatched, ...program])
          expect(existsSync(mark), program.join(" ")).toBe(true)
          rmSync(mark)
        }
      }),
    600_000
  )

  it("is met in the same way by all that package.json starts by tsx", () => {
    expect(byTsx.length).toBeGreaterThan(4)
    expect(byTsx.filter((script) => !tsxStart.test(script))).toEqual([])
  })

  it("is switched off for import and for require", () => {
    expect(patched().length).toBe(2)
  })
})
