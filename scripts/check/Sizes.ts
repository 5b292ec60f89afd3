import * as Fs from "node:fs"
import * as Path from "node:path"
import ts from "typescript"

/*
 * Fails where a file or function is larger than CONTRIBUTING.md allows. `// long: <reason>` directly above a statement (above its doc
 * comment, or below it) lets the functions in it that are too long stay.
 */

export const limits = {
  /** Lines of a file in src, test and scripts. */
  file: 300,
  /** Lines of a function in src. */
  function: 80,
  /** Lines of these documents. */
  documents: { "README.md": 120, "ARCHITECTURE.md": 180, "CONTRIBUTING.md": 100 }
} as const

export interface LongFunction {
  readonly line: number
  readonly name: string
  readonly lines: number
}

const linesOf = (text: string): number => text.split("\n").length - (text.endsWith("\n") ? 1 : 0)

const isFunction = (node: ts.Node): node is ts.FunctionLikeDeclaration =>
  ts.isFunctionDeclaration(node) ||
  ts.isFunctionExpression(node) ||
  ts.isArrowFunction(node) ||
  ts.isMethodDeclaration(node) ||
  ts.isConstructorDeclaration(node) ||
  ts.isGetAccessor(node) ||
  ts.isSetAccessor(node)

/** The node that a reader sees as one: a statement, a member of a class, or a property of an object. */
const isUnit = (node: ts.Node): boolean =>
  (ts.isStatement(node) && !ts.isBlock(node)) || ts.isClassElement(node) || ts.isPropertyAssignment(node)

const unitOf = (node: ts.Node): ts.Node => {
  let unit = node
  while (!isUnit(unit) && unit.parent !== undefined && !ts.isSourceFile(unit.parent)) unit = unit.parent
  return unit
}

const hasReason = (source: ts.SourceFile, node: ts.Node): boolean => {
  const text = source.getFullText()
  const comments = ts.getLeadingCommentRanges(text, unitOf(node).getFullStart()) ?? []
  return comments.some(({ end, pos }) => /^\/\/ long: \S/.test(text.slice(pos, end)))
}

/** The name that the function is declared or assigned under. */
const nameOf = (node: ts.FunctionLikeDeclaration): string => {
  if (node.name !== undefined) return node.name.getText()
  for (let at: ts.Node = node; at.parent !== undefined; at = at.parent) {
    const { parent } = at
    if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent) || ts.isPropertyDeclaration(parent)) {
      return parent.name.getText()
    }
  }
  return "a function"
}

/** Finds functions over the limit without a reason. Of nested ones each is named. */
export const longFunctions = (path: string, text: string): ReadonlyArray<LongFunction> => {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true)
  const found: Array<LongFunction> = []
  const lineAt = (position: number): number => source.getLineAndCharacterOfPosition(position).line + 1
  const visit = (node: ts.Node): void => {
    if (isFunction(node)) {
      const line = lineAt(node.getStart())
      const lines = lineAt(node.getEnd()) - line + 1
      if (lines > limits.function && !hasReason(source, node)) found.push({ line, name: nameOf(node), lines })
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

const project = Path.resolve(import.meta.dirname, "../..")

const filesBelow = (folder: string): ReadonlyArray<string> =>
  Fs.readdirSync(Path.join(project, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.split(Path.sep).includes("node_modules"))
    .map((name) => Path.join(folder, name))
    .toSorted()

const read = (path: string): string => Fs.readFileSync(Path.join(project, path), "utf8")

const main = (): number => {
  const problems: Array<string> = []
  const files = ["src", "test", "scripts"].flatMap(filesBelow)
  for (const path of files) {
    const text = read(path)
    const lines = linesOf(text)
    if (lines > limits.file) problems.push(`${path}: ${lines} lines; split it (${limits.file})`)
    if (!path.startsWith("src/")) continue
    for (const one of longFunctions(path, text)) {
      problems.push(
        `${path}:${one.line}: ${one.name} has ${one.lines} lines; split it (${limits.function}), or say above it // long: <reason>`
      )
    }
  }
  for (const [path, limit] of Object.entries(limits.documents)) {
    const lines = linesOf(read(path))
    if (lines > limit) problems.push(`${path}: ${lines} lines; shorten it (${limit})`)
  }
  for (const problem of problems) process.stdout.write(`${problem}\n`)
  process.stdout.write(`${files.length} files, ${problems.length} too large\n`)
  return problems.length === 0 ? 0 : 1
}

if (import.meta.filename === process.argv[1]) process.exitCode = main()
