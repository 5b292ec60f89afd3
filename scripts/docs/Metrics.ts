import * as Fs from "node:fs"
import * as Path from "node:path"
import ts from "typescript"
import { table } from "./Markdown.ts"

interface MetricDeclaration {
  /** As Prometheus shows it. */
  readonly name: string
  readonly kind: string
  readonly description: string
}

const kinds = new Set(["counter", "gauge", "histogram", "timer", "summary", "frequency"])

/** `Metric.gauge("name", { description })`, or the same of `MetricKey`. */
const declarationOf = (node: ts.Node): MetricDeclaration | undefined => {
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return undefined
  const { expression, name } = node.expression
  if (!ts.isIdentifier(expression) || !["Metric", "MetricKey"].includes(expression.text)) return undefined
  const kind = name.text
  const [first, ...rest] = node.arguments
  if (!kinds.has(kind) || first === undefined) return undefined
  if (!ts.isStringLiteral(first))
    throw new Error(`${node.getSourceFile().fileName}: the name of a metric must be a literal`)
  return {
    // The exporter shows a counter that may fall as a gauge, under its own name.
    name: isIncremental(rest) && !first.text.endsWith("_total") ? `${first.text}_total` : first.text,
    kind: kind === "counter" && !isIncremental(rest) ? "gauge" : kind,
    description: descriptionIn(rest)
  }
}

/** The value of a property of an options object among the arguments. */
const optionOf = (rest: ReadonlyArray<ts.Expression>, name: string): ts.Expression | undefined =>
  rest
    .filter(ts.isObjectLiteralExpression)
    .flatMap(({ properties }) => properties.filter(ts.isPropertyAssignment))
    .find((property) => property.name.getText() === name)?.initializer

const isIncremental = (rest: ReadonlyArray<ts.Expression>): boolean =>
  optionOf(rest, "incremental")?.kind === ts.SyntaxKind.TrueKeyword

/** The option `description`, or the argument that is a text. */
const descriptionIn = (rest: ReadonlyArray<ts.Expression>): string => {
  const option = optionOf(rest, "description") ?? rest.find(ts.isStringLiteral)
  return option !== undefined && ts.isStringLiteral(option) ? option.text : ""
}

const filesBelow = (directory: string): ReadonlyArray<string> =>
  Fs.readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => Path.join(directory, name))
    .toSorted()

/** Finds every metric that a file below `directory` declares, sorted by name. Throws at one without a description. */
export const metricsBelow = (directory: string): ReadonlyArray<MetricDeclaration> => {
  const found = new Map<string, MetricDeclaration>()
  for (const path of filesBelow(directory)) {
    const content = Fs.readFileSync(path, "utf8")
    if (!content.includes("Metric")) continue
    const visit = (node: ts.Node): void => {
      const metric = declarationOf(node)
      if (metric?.description === "") throw new Error(`${path}: ${metric.name} has no description`)
      if (metric !== undefined) found.set(metric.name, metric)
      ts.forEachChild(node, visit)
    }
    visit(ts.createSourceFile(path, content, ts.ScriptTarget.ESNext, true))
  }
  return [...found.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

export const metricTable = (directory: string): ReadonlyArray<string> =>
  table(
    ["metric", "kind", "meaning"],
    metricsBelow(directory).map(({ description, kind, name }) => [`\`${name}\``, kind, description])
  )
