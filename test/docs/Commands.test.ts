import { accessSync, constants, cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import * as Fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { describe, expect, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { afterAll } from "vitest"
import { pagesOf, type ShellBlock, shellBlocks } from "../../scripts/docs/ShellBlocks.ts"
import { Gravitas, signingSecret } from "../support/Gravitas.ts"
import { project } from "../support/Program.ts"
import { skipBecause } from "../support/SkipBecause.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { announcedRefusals, makeCommands, outputPattern, runBlocks } from "./ShellRun.ts"

const pages = pagesOf(project).flatMap((path) => {
  const blocks = shellBlocks(path, readFileSync(Path.join(project, path), "utf8"))
  const run = blocks.filter(({ skip }) => skip === undefined)
  return run.length === 0 ? [] : [{ path, blocks: run }]
})

const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const curl = (process.env["PATH"] ?? "")
  .split(Path.delimiter)
  .map((folder) => Path.join(folder, "curl"))
  .find(isExecutable)

/** The ports that the documents show. */
const shownPorts = { gatekeeper: "8001", guardian: "8003", router: "8004" } as const

const services = ["gatekeeper", "guardian", "router"] as const

/** The block, with the addresses of the services under test. */
const addressed = (block: ShellBlock, urls: Readonly<Record<(typeof services)[number], string>>): ShellBlock => ({
  ...block,
  script: services.reduce(
    (script, service) => script.replaceAll(`http://127.0.0.1:${shownPorts[service]}`, urls[service]),
    block.script
  )
})

describe("the expected output of a document", () => {
  it("takes any text for …, and any white space for white space", () => {
    expect(outputPattern('{"id":"01a2…",\n "ok":true}').test('{"id":"01a2b3c4","ok":true}\n')).toBe(true)
    expect(outputPattern('{"ok":true}').test('{"ok":false}')).toBe(false)
    expect(outputPattern("a").test("a b")).toBe(false)
  })

  it("announces statuses from 400 in comments", () => {
    expect(announcedRefusals("curl x  # 401, and recorded\ncurl y # 200\ncurl z # 503")).toEqual(["401", "503"])
  })
})

describe("a shell block of a document", () => {
  it("is run, or has a reason why not; another word behind `sh` is refused", () => {
    const text = "```sh\na\n```\n\n```sh no-run: needs psql\nb\n```\n```text output\nc\n```\n"
    expect(shellBlocks("x.md", text)).toEqual([
      { path: "x.md", line: 1, script: "a", skip: undefined, output: undefined },
      { path: "x.md", line: 5, script: "b", skip: "needs psql", output: "c" }
    ])
    expect(() => shellBlocks("x.md", "```sh norun\na\n```")).toThrow("x.md:1")
  })
})

/** A copy of config/, which the documents change. */
const config = mkdtempSync(Path.join(tmpdir(), "gravitas-config-"))
cpSync(Path.join(project, "config"), config, { recursive: true })
afterAll(() => rmSync(config, { recursive: true, force: true }))

layer(
  Gravitas.layer({
    environment: {
      ACCESS_POLICY_PATH: Path.join(config, "access-policy.yaml"),
      GUARDIAN_SESSION_TIMEOUT: "15m",
      // No provider of the sample models is reached: the documents show what the offline shells answer.
      DEEPINFRA_API_KEY: "",
      GEMINI_API_KEY: ""
    }
  }),
  { timeout: "60 seconds", excludeTestServices: true }
)("the commands of the documents", (it) => {
  for (const { blocks, path } of pages) {
    it.scoped(`${path}: each block ends with 0 and prints what the page shows`, (context) =>
      Effect.gen(function* () {
        const { databaseUrl, program } = yield* Gravitas
        const directory = yield* temporaryHome
        const bin = yield* makeCommands(directory, curl ?? skipBecause(context, "curl is not installed"))
        yield* Effect.promise(() => Fs.symlink(config, Path.join(directory, "config")))
        yield* Effect.promise(() => Fs.symlink(Path.join(project, "examples"), Path.join(directory, "examples")))
        const urls = {
          gatekeeper: yield* program.url("gatekeeper"),
          guardian: yield* program.url("guardian"),
          router: yield* program.url("router")
        }
        const results = yield* runBlocks(
          blocks.map((block) => addressed(block, urls)),
          {
            directory,
            environment: {
              PATH: `${bin}:${Path.dirname(process.execPath)}:${process.env["PATH"] ?? ""}`,
              HOME: directory,
              DATABASE_URL: Redacted.value(databaseUrl),
              JWT_SECRET_KEY: signingSecret,
              NO_COLOR: "1"
            }
          }
        )
        for (const [index, { line, output, script }] of blocks.entries()) {
          const result = results[index]
          const at = `${path}:${line}\n${result?.stdout}\n${result?.stderr}`
          expect(result?.exitCode, at).toBe(0)
          expect(result?.refusals, at).toEqual(announcedRefusals(script))
          if (output !== undefined) expect(result?.stdout, at).toMatch(outputPattern(output))
        }
      })
    )
  }
})
