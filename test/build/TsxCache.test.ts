import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
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

/** Adds code to each entry of the cache below `temporary` that leaves the file `mark`. */
const plant = (temporary: string, mark: string): number => {
  const [name = ""] = readdirSync(temporary)
  const cache = join(temporary, name)
  const entries = readdirSync(cache).map((entry) => join(cache, entry))
  for (const path of entries) {
    const entry = Schema.decodeUnknownSync(Entry)(readFileSync(path, "utf8"))
    const code = `${entry.code}\n;process.getBuiltinModule("node:fs").writeFileSync(${JSON.stringify(mark)}, "");`
    writeFileSync(path, JSON.stringify({ ...entry, code }))
  }
  return entries.length
}

/** Programs that are documented to be started by tsx, with words that end them at once. */
const programs = [["src/main.ts", "--version"], ["scripts/bench/main.ts"], ["scripts/chaos/main.ts"]] as const

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
          yield* start([join(project, "node_modules/.bin/tsx"), ...program])
          expect(existsSync(mark), program.join(" ")).toBe(false)
        }
        expect(yield* start([...fromBuild(project), "--version"])).toMatchObject({ code: 0 })
        expect(existsSync(mark)).toBe(false)

        // What the patch is for: without it the same folder chooses the code.
        yield* start([...unpatched, "src/main.ts", "--version"])
        expect(existsSync(mark)).toBe(true)
      }),
    600_000
  )

  it("is tried with all that package.json starts by tsx", () => {
    const { scripts } = Schema.decodeUnknownSync(
      Schema.parseJson(Schema.Struct({ scripts: Schema.Record({ key: Schema.String, value: Schema.String }) }))
    )(readFileSync(join(project, "package.json"), "utf8"))
    const byTsx = Object.values(scripts).filter((script) => script.includes("tsx"))
    const checked = [...programs.map(([program]) => program), "scripts/check/Types.ts"]
    for (const script of byTsx) {
      expect(checked.map((program) => `node --import tsx ${program}`)).toContain(script)
    }
  })

  it("is switched off for import and for require", () => {
    expect(patched().length).toBe(2)
  })
})
