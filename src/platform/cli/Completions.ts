import * as Arr from "effect/Array"
import type { CommandNode, Term } from "./CommandTree.ts"
import { summaryOf } from "./HelpPage.ts"

export const shells = ["bash", "zsh", "fish"] as const
export type Shell = (typeof shells)[number]

const builtIn = (name: string, meaning: string, choices: ReadonlyArray<string> = []): Term => ({
  name,
  aliases: [],
  value: choices.length > 0 ? choices.join("|") : undefined,
  choices,
  isOptional: true,
  isRepeated: false,
  meaning
})

const help = builtIn("--help", "Print the help.")

const ofTheProgram = [
  builtIn("--version", "Print the version."),
  builtIn("--completions", "Print a script that completes commands.", shells)
]

/** What can be typed behind the words of one command. */
interface Place {
  /** The words, with blanks: `gravitas migrate status`. */
  readonly at: string
  readonly words: ReadonlyArray<readonly [word: string, meaning: string]>
  readonly options: ReadonlyArray<Term>
  /** Whether it has arguments of which any text is accepted, such as a file. */
  readonly isOpen: boolean
}

const placesOf = (command: CommandNode, arguments_: ReadonlyArray<string>): ReadonlyArray<Place> => [
  {
    at: command.path.join(" "),
    words: [
      ...command.commands.map((one) => [one.path.at(-1) ?? "", summaryOf(one)] as const),
      ...arguments_.map((word) => [word, `Run the ${word}`] as const)
    ],
    options: [...command.options, help, ...(command.path.length === 1 ? ofTheProgram : [])],
    isOpen: command.arguments.length > 0 && arguments_.length === 0
  },
  ...command.commands.flatMap((one) => placesOf(one, []))
]

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

const namesOf = ({ aliases, name }: Term): ReadonlyArray<string> => [name, ...aliases]

/** `gravitas migrate --service`, for each option that takes a value, with its choices. */
const valuesOf = (places: ReadonlyArray<Place>) =>
  places.flatMap(({ at, options }) =>
    options
      .filter(({ value }) => value !== undefined)
      .map((option) => ({ keys: namesOf(option).map((name) => `${at} ${name}`), choices: option.choices }))
  )

const alternatives = (keys: ReadonlyArray<string>): string => keys.map(quoted).join("|")

/** The words by which a command is reached from the one above it. */
const stepsOf = (places: ReadonlyArray<Place>): ReadonlyArray<string> => places.slice(1).map(({ at }) => at)

/** The cases for what comes behind an option with a value: its choices, else files. Keys without choices are one case. */
const valueCases = (
  places: ReadonlyArray<Place>,
  choose: (choices: ReadonlyArray<string>) => string,
  files: string
) => {
  const values = valuesOf(places)
  const byChoices = Arr.groupBy(
    values.filter(({ choices }) => choices.length > 0),
    ({ choices }) => choices.join(" ")
  )
  const free = values.filter(({ choices }) => choices.length === 0).flatMap(({ keys }) => keys)
  return [
    ...Object.values(byChoices).map(
      (same) => `    ${alternatives(same.flatMap(({ keys }) => keys))}) ${choose(same[0].choices)} ;;`
    ),
    ...(free.length === 0 ? [] : [`    ${alternatives(free)}) ${files} ;;`])
  ]
}

const withValue = (places: ReadonlyArray<Place>): string => alternatives(valuesOf(places).flatMap(({ keys }) => keys))

const bash = (name: string, places: ReadonlyArray<Place>): ReadonlyArray<string> => [
  `_${name}() {`,
  `  local at=${name} cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} words= options= i`,
  "  # --option=value is three words for bash.",
  "  if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi",
  "  for ((i = 1; i < COMP_CWORD; i++)); do",
  '    case "$at ${COMP_WORDS[i]}" in',
  `    ${alternatives(stepsOf(places))}) at="$at \${COMP_WORDS[i]}" ;;`,
  `    ${withValue(places)}) [[ \${COMP_WORDS[i+1]} == = ]] && ((i++)); ((i++)) ;;`,
  "    esac",
  "  done",
  '  case "$at $prev" in',
  ...valueCases(
    places,
    (choices) => `COMPREPLY=($(compgen -W ${quoted(choices.join(" "))} -- "$cur")); return`,
    "COMPREPLY=(); return"
  ),
  "  esac",
  '  case "$at" in',
  ...places.map(({ at, isOpen, options, words }) => {
    const names = options.map(({ name }) => name).join(" ")
    const offered = words.length > 0 || isOpen ? words.map(([word]) => word).join(" ") : names
    return `    ${quoted(at)}) words=${quoted(offered)} options=${quoted(names)} ;;`
  }),
  "  esac",
  "  [[ $cur == -* ]] && words=$options",
  '  COMPREPLY=($(compgen -W "$words" -- "$cur"))',
  "}",
  `complete -o default -F _${name} ${name}`
]

/** An entry of `_describe`, where a colon ends the word. */
const described = ([word, meaning]: readonly [string, string]): string =>
  quoted(`${word.replaceAll(":", "\\:")}:${meaning}`)

const zsh = (name: string, places: ReadonlyArray<Place>): ReadonlyArray<string> => [
  `_${name}() {`,
  `  local at=${name} prev=$words[CURRENT-1] i`,
  "  local -a entries options",
  "  for ((i = 2; i < CURRENT; i++)); do",
  '    case "$at $words[i]" in',
  `    ${alternatives(stepsOf(places))}) at="$at $words[i]" ;;`,
  `    ${withValue(places)}) ((i++)) ;;`,
  "    esac",
  "  done",
  "  if [[ $PREFIX == --*=* ]]; then prev=${PREFIX%%=*}; compset -P '*='; fi",
  '  case "$at $prev" in',
  ...valueCases(places, (choices) => `compadd -- ${choices.map(quoted).join(" ")}; return`, "_files; return"),
  "  esac",
  '  case "$at" in',
  ...places.flatMap(({ at, options, words }) => [
    `    ${quoted(at)})`,
    `      entries=(${words.map(described).join(" ")})`,
    `      options=(${options.map((one) => described([one.name, one.meaning])).join(" ")}) ;;`
  ]),
  "  esac",
  "  if [[ $PREFIX == -* ]]; then _describe -o option options",
  "  elif (( $#entries )); then _describe command entries",
  "  else _files || _describe -o option options; fi",
  "}",
  "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }",
  `if [[ $funcstack[1] == _${name} ]]; then _${name} "$@"; else compdef _${name} ${name}; fi`
]

const fishOption = (option: Term): string => {
  const long = option.name.replace(/^--/, "-l ")
  const short = option.aliases.map((alias) => ` -s ${alias.replace(/^-/, "")}`).join("")
  const value = option.choices.length > 0 ? ` -x -a ${quoted(option.choices.join(" "))}` : " -r -F"
  return `${long}${short}${option.value === undefined ? "" : value} -d ${quoted(option.meaning)}`
}

const fish = (name: string, places: ReadonlyArray<Place>): ReadonlyArray<string> => [
  `function __${name}_at`,
  `  set -l at ${name}`,
  "  set -l skip no",
  "  for word in (commandline -opc)[2..-1]",
  "    if test $skip = yes",
  "      set skip no",
  "      continue",
  "    end",
  '    switch "$at $word"',
  `      case ${stepsOf(places).map(quoted).join(" ")}`,
  '        set at "$at $word"',
  `      case ${valuesOf(places)
    .flatMap(({ keys }) => keys.map(quoted))
    .join(" ")}`,
  "        set skip yes",
  "    end",
  "  end",
  '  test "$at" = "$argv"',
  "end",
  `complete -c ${name} -f`,
  ...places.flatMap(({ at, isOpen, options, words }) => {
    const line = `complete -c ${name} -n ${quoted(`__${name}_at ${at}`)}`
    return [
      ...(isOpen ? [`${line} -F`] : []),
      ...words.map(([word, meaning]) => `${line} -a ${quoted(word)} -d ${quoted(meaning)}`),
      ...options.map((option) => `${line} ${fishOption(option)}`)
    ]
  })
]

/** Where each shell reads the script at its start. */
const profiles: Readonly<Record<Shell, string>> = {
  bash: "~/.bashrc",
  zsh: "~/.zshrc",
  fish: "~/.config/fish/config.fish"
}

const load = (shell: Shell, start: string): string =>
  shell === "fish" ? `${start} --completions fish | source` : `eval "$(${start} --completions ${shell})"`

/** Defines the program's name as a function, where no command has it: a checkout is run by a longer command line. */
const functionOf = (shell: Shell, name: string, start: string): string =>
  shell === "fish"
    ? `type -q ${name}; or function ${name}; ${start} $argv; end`
    : `command -v ${name} > /dev/null 2>&1 || ${name}() { ${start} "$@"; }`

/**
 * A script by which a shell completes commands, options and their values. `services` are the arguments of the program itself;
 * `startWords` start it.
 */
export const completionScript = (
  shell: Shell,
  root: CommandNode,
  services: ReadonlyArray<string>,
  startWords: ReadonlyArray<string>
): string => {
  const name = root.path.join(" ")
  const start = startWords.map(quoted).join(" ")
  const places = placesOf(root, services)
  return [
    ...(shell === "zsh" ? [`#compdef ${name}`] : []),
    `# Completes ${name}. In ${profiles[shell]}: ${load(shell, start)}`,
    functionOf(shell, name, start),
    ...{ bash, fish, zsh }[shell](name, places)
  ].join("\n")
}
