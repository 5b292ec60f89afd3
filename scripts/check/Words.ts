import * as Fs from "node:fs"
import * as Path from "node:path"

/*
 * Fails where a text uses a word that this project does not use: see CONTRIBUTING.md, *Style*. `pnpm check:words`, or with paths as
 * arguments those files and folders alone.
 */

export interface WordHit {
  readonly path: string
  /** Counted from 1. */
  readonly line: number
  readonly word: string
  /** The words around it, on one line. */
  readonly context: string
}

interface Allowed {
  readonly path: string
  /** Text around the word, as it stands in the file. */
  readonly phrase: string
  readonly reason: string
}

/** "is no longer" negates the verb; "there is no …" is plain English. */
const unwanted =
  /\b(?:whoever|nobody|somebody|anew|mend(?:s|ed|ing)?|in hand|(?<!\bthere )is none|(?<!\bthere )is no(?= )(?! longer\b))\b/gi

/** Hits that may stay. An entry that matches no hit is an error, so that the list stays short. */
export const allowed: ReadonlyArray<Allowed> = [
  {
    path: "docs/operations.md",
    phrase: "the account `postgres` or `nobody`",
    reason: "the name of an account of the operating system"
  },
  {
    path: "src/embedded-postgres/DataLocation.ts",
    phrase: '"postgres", "nobody", "daemon"',
    reason: "the name of an account of the operating system"
  },
  {
    path: "test/embedded-postgres/OsAccount.test.ts",
    phrase: 'const unprivileged = "nobody"',
    reason: "the name of an account of the operating system"
  },
  {
    path: "test/migrator/chaos/Pooler.test.ts",
    phrase: '"user = nobody"',
    reason: "the name of an account of the operating system"
  },
  {
    path: "src/platform/cli/LoginName.ts",
    phrase: '() => "somebody"',
    reason: "a value of the trail's metadata, which stays as it was"
  },
  {
    path: "test/guardian/cli/CertificateCommand.test.ts",
    phrase: "somebody",
    reason: "the value that rows have, where the account has no name"
  },
  {
    path: "src/migrator/recover/Repair.ts",
    phrase: 'Effect.fn("Migrator.mend")',
    reason: "the name of a span, which dashboards may use"
  }
]

/** Marks at the beginning of a line that are not part of its sentence. */
const lineStart = /\n[ \t]*(?:\/\/\/?|\*(?!\/)|#+|--|>|- )?[ \t]*/g

/** Joins lines, so that a phrase is found across a line break. Returns the text and the offsets of its pieces in the original. */
const flatten = (text: string): { readonly flat: string; readonly originalOf: (at: number) => number } => {
  const cuts: Array<{ readonly flat: number; readonly original: number }> = [{ flat: 0, original: 0 }]
  let flat = ""
  let from = 0
  for (const match of text.matchAll(lineStart)) {
    flat += `${text.slice(from, match.index)} `
    from = match.index + match[0].length
    cuts.push({ flat: flat.length, original: from })
  }
  flat += text.slice(from)
  return {
    flat,
    originalOf: (at) => {
      const cut = cuts.findLast((one) => one.flat <= at)
      return cut === undefined ? at : cut.original + at - cut.flat
    }
  }
}

/** Finds every unwanted word of a text. */
export const wordHits = (path: string, text: string): ReadonlyArray<WordHit> => {
  const { flat, originalOf } = flatten(text)
  return [...flat.matchAll(unwanted)].map((match) => ({
    path,
    line: text.slice(0, originalOf(match.index)).split("\n").length,
    word: match[0],
    context: flat.slice(Math.max(0, match.index - 60), match.index + match[0].length + 60).trim()
  }))
}

const project = Path.resolve(import.meta.dirname, "../..")

const folders = ["src", "test", "docs", "deploy", "examples"]

const isText = (name: string): boolean => /\.(ts|md|yaml|json|sql)$/.test(name) || name === ".env.example"

const filesAt = (path: string): ReadonlyArray<string> => {
  const absolute = Path.join(project, path)
  if (!Fs.statSync(absolute).isDirectory()) return [path]
  return Fs.readdirSync(absolute, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && isText(entry.name))
    .map((entry) => Path.relative(project, Path.join(entry.parentPath, entry.name)))
    .toSorted()
}

const rootDocuments = (): ReadonlyArray<string> =>
  Fs.readdirSync(project).filter((name) => name.endsWith(".md") || name === ".env.example")

const isAllowed = ({ context, path }: WordHit): boolean =>
  allowed.some((one) => one.path === path && context.includes(one.phrase))

const main = (given: ReadonlyArray<string>): number => {
  const paths = given.length > 0 ? given.flatMap(filesAt) : [...rootDocuments(), ...folders.flatMap(filesAt)]
  const hits = paths.flatMap((path) => wordHits(path, Fs.readFileSync(Path.join(project, path), "utf8")))
  const problems = hits
    .filter((hit) => !isAllowed(hit))
    .map(({ context, line, path, word }) => `${path}:${line}: ${JSON.stringify(word)} in "${context}"`)
  const stale = allowed.filter(
    ({ path, phrase }) => paths.includes(path) && !hits.some((hit) => hit.path === path && hit.context.includes(phrase))
  )
  problems.push(
    ...stale.map(({ path, phrase }) => `scripts/check/Words.ts: ${path} has no ${JSON.stringify(phrase)} any more`)
  )
  for (const problem of problems) process.stdout.write(`${problem}\n`)
  process.stdout.write(`${paths.length} files, ${problems.length} unwanted words\n`)
  return problems.length === 0 ? 0 : 1
}

if (import.meta.filename === process.argv[1]) process.exitCode = main(process.argv.slice(2))
