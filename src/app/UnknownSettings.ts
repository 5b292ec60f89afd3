import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import { closestName, didYouMean } from "../domain/ClosestName.ts"

/** A line of a `.env` file that is an assignment or not. */
interface EnvLine {
  /** Counted from 1. */
  readonly line: number
  /** The variable; undefined for a line that no assignment begins. */
  readonly name: string | undefined
}

const assignment = /^\s*(?:export\s+)?([\w.-]+)\s*(?:=|:\s)\s*(.*)$/

/** The quote that a value begins and does not end on its line. */
const openQuote = (value: string): string | undefined => {
  const quote = /^["'`]/.exec(value)?.[0]
  return quote !== undefined && !value.slice(1).includes(quote) ? quote : undefined
}

/** Reads a `.env` file as far as names go. A quoted value may have several lines. */
export const envLines = (text: string): ReadonlyArray<EnvLine> => {
  const found: Array<EnvLine> = []
  let quote: string | undefined
  for (const [index, line] of text.split(/\r\n|\r|\n/).entries()) {
    if (quote !== undefined) {
      if (line.includes(quote)) quote = undefined
      continue
    }
    if (/^\s*(#|$)/.test(line)) continue
    const [, name, value = ""] = assignment.exec(line) ?? []
    found.push({ line: index + 1, name })
    if (name !== undefined) quote = openQuote(value)
  }
  return found
}

/** What Kubernetes sets in a pod for each Service of its namespace. */
const isServiceLink = (name: string): boolean => /_(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP)(_\w+)?)$/.test(name)

const isSettingName = (name: string): boolean => /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/.test(name) && name.length <= 64

/** Names that no other program has. */
const isOurs = (name: string): boolean => name.startsWith("GRAVITAS_")

interface Given {
  /** The names of the environment's variables. */
  readonly environment: ReadonlyArray<string>
  /** Of the `.env` file. */
  readonly lines: ReadonlyArray<EnvLine>
  /** What the program reads. */
  readonly known: ReadonlySet<string>
}

/**
 * What was most likely meant as a setting and is not known: every unknown name in `.env`, lines there that are no assignment, and those
 * variables of the environment whose names nearly are settings. No value is quoted.
 */
export const unknownSettings = ({ environment, known, lines }: Given): ReadonlyArray<string> => {
  const inFile = lines.flatMap(({ line, name }) => {
    if (name === undefined) return [`.env, line ${line}: it is not an assignment (NAME=value) and is ignored`]
    if (known.has(name)) return []
    // The rest of a secret that was wrapped looks like a name before "=".
    if (!isSettingName(name))
      return [`.env, line ${line}: what it assigns to is not the name of a setting, and is ignored`]
    return [`.env, line ${line}: ${name} is not a setting and is ignored${didYouMean(name, known)}`]
  })
  const named = new Set(lines.map(({ name }) => name))
  const around = environment
    .filter((name) => !known.has(name) && !named.has(name) && !isServiceLink(name))
    .flatMap((name) => {
      // Other programs' names differ in the first letter: SSL_CERT_FILE, PGHOST.
      const closest = closestName(
        name,
        [...known].filter((one) => one[0] === name[0])
      )
      if (closest === undefined && !isOurs(name)) return []
      return [
        `environment: ${name} is not a setting and is ignored${closest === undefined ? "" : `; did you mean ${closest}?`}`
      ]
    })
  return [...inFile, ...around]
}

/** The variables that models.yaml names for providers' keys. Its schema is checked where it is used. */
export const keyVariables = (models: string): ReadonlyArray<string> =>
  [...models.matchAll(/\bapi_key_env\s*:\s*["']?([\w.-]+)/g)].flatMap(([, name]) => name ?? [])

/** The warnings of this process. `modelsPath`: models.yaml. */
export const settingWarnings = (
  environment: ReadonlyArray<string>,
  known: ReadonlyArray<string>,
  modelsPath: string
): Effect.Effect<ReadonlyArray<string>, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const read = (path: string) => Effect.orElseSucceed(fs.readFileString(path), () => "")
    const [file, models] = yield* Effect.all([read(".env"), read(modelsPath)])
    return unknownSettings({ environment, lines: envLines(file), known: new Set([...known, ...keyVariables(models)]) })
  })
