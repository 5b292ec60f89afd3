import { existsSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Struct from "effect/Struct"
import type { CommandNode, Term } from "../../../src/platform/cli/CommandTree.ts"
import { completionScript, type Shell } from "../../../src/platform/cli/Completions.ts"
import { run } from "../../support/Checkout.ts"
import { project } from "../../support/Program.ts"
import { skipBecause } from "../../support/SkipBecause.ts"

const term = (name: string, more: Partial<Term> = {}): Term => ({
  name,
  aliases: [],
  value: undefined,
  choices: [],
  isOptional: true,
  isRepeated: false,
  meaning: "It's a meaning: of one.",
  ...more
})

const command = (path: string, more: Partial<CommandNode> = {}): CommandNode => ({
  path: path.split(" "),
  description: "Does it: well.",
  examples: [],
  arguments: [],
  options: [term("--json")],
  commands: [],
  ...more
})

const service = term("--service", { value: "guardian|router", choices: ["guardian", "router"] })
const reason = term("--reason", { aliases: ["-r"], value: "<text>" })

const root = command("gravitas", {
  options: [],
  commands: [
    command("gravitas migrate", {
      options: [service],
      commands: [
        command("gravitas migrate stamp", {
          arguments: [term("<revision>")],
          options: [service, reason, term("--yes")]
        }),
        command("gravitas migrate status", { options: [service, term("--dry-run")] })
      ]
    }),
    command("gravitas token", { arguments: [term("<ghost>")] })
  ]
})

/** What is typed, and the words that the last one may become. */
const cases: ReadonlyArray<readonly [line: string, words: ReadonlyArray<string>]> = [
  ["gravitas mig", ["migrate"]],
  ["gravitas r", ["router"]],
  ["gravitas migrate sta", ["stamp", "status"]],
  ["gravitas migrate --service ro", ["router"]],
  ["gravitas migrate --service router statu", ["status"]],
  ["gravitas migrate status --d", ["--dry-run"]],
  ["gravitas migrate status --s", ["--service"]],
  ["gravitas migrate status --service ro", ["router"]],
  ["gravitas migrate stamp --service guardian --y", ["--yes"]],
  ["gravitas migrate stamp --reason status --y", ["--yes"]],
  ["gravitas migrate stamp -r status --y", ["--yes"]],
  ["gravitas --completions z", ["zsh"]]
]

const script = (shell: Shell): string =>
  completionScript(shell, root, ["guardian", "router"], ["/opt/it's/node", "main"])

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

const joined = "gravitas migrate --service=ro"

/** How each shell is asked: for each case a line with the words that it offers. */
const shells: Readonly<Record<Shell, { readonly flags: ReadonlyArray<string>; readonly questions: string }>> = {
  bash: {
    flags: ["--norc", "-c"],
    questions: [
      'ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _gravitas; echo "${COMPREPLY[*]}"; }',
      ...cases.map(([line]) => `ask ${line}`),
      `ask ${joined.replace("=", " = ")}`
    ].join("\n")
  },
  fish: {
    flags: ["--no-config", "-c"],
    questions: [...cases.map(([line]) => line), joined]
      .map(
        (line) =>
          `string join -- ' ' (complete -C ${quoted(line)} | string split -f 1 \\t | string replace -r '.*=' '')`
      )
      .concat("true")
      .join("\n")
  },
  // In place of the widgets of its line editor, which need a terminal.
  zsh: {
    flags: ["-f", "-c"],
    questions: [
      "offer() { local -a found; for one in $@; do [[ $one == $PREFIX* ]] && found+=($one); done; print -r -- $found; }",
      "_describe() { [[ $1 == -o ]] && shift; local -a all; all=(${(@P)2}); offer ${all%%:*}; }",
      "compadd() { shift; offer $@; }",
      "compset() { PREFIX=${PREFIX#*=}; }",
      'ask() { words=("$@"); CURRENT=$#; PREFIX=$words[-1]; _gravitas; }',
      ...[...cases.map(([line]) => line), joined].map((line) => `ask ${line}`)
    ].join("\n")
  }
}

const isInstalled = (shell: string): boolean =>
  (process.env["PATH"] ?? "").split(delimiter).some((folder) => existsSync(join(folder, shell)))

describe("The script of completions", () => {
  for (const [shell, { flags, questions }] of Struct.entries(shells)) {
    it.live(`makes ${shell} offer commands, options and their values`, (context) =>
      Effect.gen(function* () {
        if (!isInstalled(shell)) return skipBecause(context, `${shell} is not installed`)
        // zsh gets its completion system where a profile has not started it.
        const before = shell === "zsh" ? "compdef() { : }" : ""
        const words = [shell, ...flags, [before, script(shell), questions].join("\n")]
        expect(yield* run(words, { directory: project, environment: { HOME: tmpdir() } })).toEqual({
          code: 0,
          stderr: "",
          stdout: [...cases.map(([, words]) => words.join(" ")), "router", ""].join("\n")
        })
      })
    )
  }

  it("names the file in which a shell reads it, and makes the program's name a command unless it is one", () => {
    const [first, second] = script("bash").split("\n")
    expect(first).toBe(`# Completes gravitas. In ~/.bashrc: eval "$('/opt/it'\\''s/node' 'main' --completions bash)"`)
    expect(second).toBe(`command -v gravitas > /dev/null 2>&1 || gravitas() { '/opt/it'\\''s/node' 'main' "$@"; }`)
    expect(script("zsh").split("\n")[0]).toBe("#compdef gravitas")
  })
})
