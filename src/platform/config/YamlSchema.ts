import * as Path from "node:path"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import { type FileProblem, problemLines } from "../../domain/Text.ts"
import { runAtOnce, runInSteps, type SteppedComputation } from "../os/EventLoop.ts"
import { isMissing, reasonOf } from "../os/FileTrust.ts"
import { requireTrustedWay } from "../os/NamedFile.ts"
import {
  atKey,
  inOrder,
  readDocument,
  subjectOf,
  type YamlDocument,
  YamlMapping,
  type YamlPath
} from "./YamlDocument.ts"

interface DecodedYaml<A> extends Pick<YamlDocument, "placeOf"> {
  readonly value: A
}

/** Makes a schema that may refer to the names which the file itself defines: `namesIn("groups")` has the keys of its `groups`. */
export type YamlSchema<A, I> = (namesIn: (key: string) => ReadonlySet<string>) => Schema.Schema<A, I>

/** Makes the class of an error of a file that cannot be used. `heading` comes before its problems, a line for each. */
export const FileRefused = <const Tag extends string>(tag: Tag, heading: string) =>
  class extends Data.TaggedError(tag)<{ readonly file: string; readonly problems: ReadonlyArray<FileProblem> }> {
    override get message(): string {
      return `${heading}:\n${problemLines(this.file, this.problems)}`
    }
  }

/** A text that is not empty. */
export const text = Schema.String.pipe(Schema.filter((value) => value !== "" || "must not be empty"))

/** Decodes a mapping from names to values. `keyProblem` returns why a name is not valid. */
export const mapOf = <A, I>(value: Schema.Schema<A, I>, keyProblem?: (name: string) => string | undefined) =>
  Schema.declare(
    [value],
    {
      decode: (value) => {
        const decode = ParseResult.decodeUnknownEither(value)
        return (input, options, ast) => {
          // A schema around this one, such as a default's, checks the decoded map again.
          if (input instanceof Map) return ParseResult.succeed<ReadonlyMap<string, A>>(input)
          if (!(input instanceof YamlMapping)) return ParseResult.fail(new ParseResult.Type(ast, input))
          const decoded = new Map<string, A>()
          const issues: Array<ParseResult.ParseIssue> = []
          for (const [name, one] of YamlMapping.entriesOf(input)) {
            const problem = keyProblem?.(name)
            if (problem !== undefined) {
              issues.push(new ParseResult.Pointer([name, atKey], input, new ParseResult.Type(ast, name, problem)))
            }
            const found = decode(one, options)
            if (Either.isRight(found)) decoded.set(name, found.right)
            else issues.push(new ParseResult.Pointer(name, input, found.left))
          }
          const [first, ...rest] = issues
          return first === undefined
            ? ParseResult.succeed(decoded)
            : ParseResult.fail(new ParseResult.Composite(ast, input, [first, ...rest]))
        }
      },
      encode: () => (input, _, ast) => ParseResult.fail(new ParseResult.Forbidden(ast, input))
    },
    { identifier: "mapping" }
  )

const isChoice = (ast: SchemaAST.AST): ast is SchemaAST.Union<SchemaAST.Literal> =>
  ast._tag === "Union" && ast.types.every(({ _tag }) => _tag === "Literal")

/** What a value must be. It repeats no value: a file may hold a key where its variable's name should be. */
const requirementOf = (ast: SchemaAST.AST): string => {
  switch (ast._tag) {
    case "TypeLiteral":
    case "Declaration":
      return "must be a mapping"
    case "TupleType":
      return "must be a list"
    case "StringKeyword":
      return "must be a text; quote it where YAML reads a number or a truth value"
    case "BooleanKeyword":
      return "must be true or false"
    case "Literal":
      return `must be ${ast.literal}`
    case "Refinement":
    case "Transformation":
      return requirementOf(ast.from)
    case "Union":
      return isChoice(ast)
        ? `must be one of ${ast.types.map(({ literal }) => literal).join(", ")}`
        : requirementOf(ast.types[0])
    default:
      return "is not valid"
  }
}

interface SchemaProblem {
  readonly path: YamlPath
  readonly problem: string
}

/** The problems of an issue; `within` is the schema around it. */
const problemsOf = (
  issue: ParseResult.ParseIssue,
  path: YamlPath,
  within?: SchemaAST.AST
): ReadonlyArray<SchemaProblem> => {
  switch (issue._tag) {
    case "Pointer":
      return problemsOf(issue.issue, path.concat(issue.path), within)
    case "Composite": {
      if (isChoice(issue.ast)) return [{ path, problem: requirementOf(issue.ast) }]
      const issues: ReadonlyArray<ParseResult.ParseIssue> = [issue.issues].flat()
      return issues.flatMap((one) => problemsOf(one, path, issue.ast))
    }
    case "Refinement":
    case "Transformation":
      return problemsOf(issue.issue, path, within)
    case "Missing":
      return [{ path, problem: "is missing" }]
    case "Unexpected": {
      const known = within?._tag === "TypeLiteral" ? within.propertySignatures.map(({ name }) => String(name)) : []
      return [{ path: [...path, atKey], problem: `is not a known key; known: ${known.join(", ")}` }]
    }
    default:
      return [{ path, problem: issue.message ?? requirementOf(issue.ast) }]
  }
}

type Result<A> = Either.Either<DecodedYaml<A>, ReadonlyArray<FileProblem>>

/** Decodes in steps. Finds all problems at once, each with its line and column; keys that the schema does not know are some. */
function* decoding<A, I>(schema: YamlSchema<A, I>, source: string): SteppedComputation<Result<A>> {
  const document = yield* readDocument(source)
  if (Either.isLeft(document)) return Either.left(document.left)
  yield
  const { content, placeOf, problems } = document.right
  const namesIn = (key: string): ReadonlySet<string> => {
    const names = content instanceof YamlMapping ? YamlMapping.entriesOf(content).get(key) : undefined
    return new Set(names instanceof YamlMapping ? YamlMapping.entriesOf(names).keys() : [])
  }
  const decode = ParseResult.decodeUnknownEither(schema(namesIn), { errors: "all", onExcessProperty: "error" })
  const decoded = decode(content)
  const found = Either.isRight(decoded)
    ? []
    : problemsOf(decoded.left, []).map(({ path, problem }) => ({
        ...placeOf(path),
        problem: `${subjectOf(path)} ${problem}`
      }))
  return Either.isRight(decoded) && problems.length === 0
    ? Either.right({ value: decoded.right, placeOf })
    : Either.left(inOrder([...problems, ...found]))
}

export const decode = <A, I>(schema: YamlSchema<A, I>, source: string): Result<A> => runAtOnce(decoding(schema, source))

/** `decode` in turns of the event loop: a large file takes tenths of a second. */
export const decodeInTurns = <A, I>(
  schema: YamlSchema<A, I>,
  source: string
): Effect.Effect<DecodedYaml<A>, ReadonlyArray<FileProblem>> =>
  Effect.flatten(runInSteps(() => decoding(schema, source)))

const unreadable = (problem: string): ReadonlyArray<FileProblem> => [{ line: 1, column: 1, problem }]

/** A relative path means another file wherever the program is started. */
const missing = (file: string): ReadonlyArray<FileProblem> =>
  unreadable(Path.isAbsolute(file) ? "no such file" : `no such file: there is no ${Path.resolve(file)}`)

/** Reads a file's text; a file that cannot be read fails with a problem at its start. */
export const readText = (file: string): Effect.Effect<string, ReadonlyArray<FileProblem>, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (files) =>
    Effect.mapError(files.readFileString(file), (error) =>
      error._tag === "SystemError" && error.reason === "NotFound" ? missing(file) : unreadable(error.message)
    )
  )

/** The same of a file that a setting names: it is refused where another account could change it. */
export const readNamedText: typeof readText = (file) =>
  Effect.tryPromise({
    try: () => requireTrustedWay(file),
    catch: (cause) => (isMissing(cause) ? missing(file) : unreadable(reasonOf(cause)))
  }).pipe(Effect.zipRight(readText(file)))
