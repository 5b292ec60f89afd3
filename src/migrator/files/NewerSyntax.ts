import * as Effect from "effect/Effect"
import { plpgsqlOf } from "./Bodies.ts"
import { blanked, quotedParts } from "./QuotedText.ts"
import { child, listOf, nodesIn, type ParseTree, readTree, textOf } from "./Statements.ts"

/** Syntax that PostgreSQL has since a major version. */
interface Syntax {
  readonly since: number
  readonly what: string
  readonly isIn: (node: ParseTree) => boolean
}

const kinds =
  (...names: ReadonlyArray<string>) =>
  ({ kind }: ParseTree): boolean =>
    names.includes(kind)

/** A node of `kind` (any if null) with a field that `holds`. */
const having =
  (
    kind: string | null,
    path: ReadonlyArray<string>,
    holds: (value: unknown) => boolean = (value) => value !== undefined
  ) =>
  (tree: ParseTree): boolean =>
    (kind === null || tree.kind === kind) && holds(child(tree.node, ...path))

const is = (expected: unknown) => (value: unknown) => value === expected

/** An option in parentheses of a statement, such as `copy … (on_error ignore)`. */
const option =
  (kind: string, list: string, ...names: ReadonlyArray<string>) =>
  ({ kind: found, node }: ParseTree): boolean =>
    found === kind && listOf(node, list).some((one) => names.includes(textOf(one, "DefElem", "defname") ?? ""))

const alters =
  (subtype: string, holds: (node: unknown) => boolean = () => true) =>
  ({ kind, node }: ParseTree): boolean =>
    kind === "AlterTableCmd" && child(node, "subtype") === subtype && holds(node)

const constraint =
  (contype: string, holds: (node: object) => boolean) =>
  ({ kind, node }: ParseTree): boolean =>
    kind === "Constraint" && child(node, "contype") === contype && holds(node)

const returnsRow = ({ node }: ParseTree): boolean => {
  const clause = child(node, "returningClause")
  return nodesIn(clause).some(
    ({ kind, node: column }) =>
      kind === "ReturningOption" ||
      (kind === "ColumnRef" && /^(old|new)$/.test(textOf(column, "fields", "0", "String", "sval") ?? ""))
  )
}

const callOf = (name: string) =>
  having("FuncCall", ["funcname"], (names) => textOf(names, "0", "String", "sval") === name)

const syntaxes: ReadonlyArray<Syntax> = [
  { since: 15, what: "MERGE", isIn: kinds("MergeStmt") },
  { since: 15, what: "NULLS NOT DISTINCT", isIn: having(null, ["nulls_not_distinct"], is(true)) },
  { since: 15, what: "SET ACCESS METHOD", isIn: alters("AT_SetAccessMethod") },
  { since: 15, what: "unlogged sequences", isIn: having("CreateSeqStmt", ["sequence", "relpersistence"], is("u")) },
  { since: 15, what: "columns of ON DELETE SET", isIn: having("Constraint", ["fk_del_set_cols"]) },
  {
    since: 15,
    what: "TABLES IN SCHEMA of a publication",
    isIn: having("PublicationObjSpec", ["pubobjtype"], (type) => String(type).includes("IN_"))
  },
  { since: 15, what: "filters of a publication", isIn: having("PublicationObjSpec", ["pubtable", "whereClause"]) },
  { since: 15, what: "columns of a publication", isIn: having("PublicationObjSpec", ["pubtable", "columns"]) },
  { since: 15, what: "GRANT ON PARAMETER", isIn: having("GrantStmt", ["objtype"], is("OBJECT_PARAMETER_ACL")) },
  { since: 15, what: "security_invoker", isIn: having("DefElem", ["defname"], is("security_invoker")) },
  {
    since: 16,
    what: "a subquery in FROM without an alias",
    isIn: (tree) => tree.kind === "RangeSubselect" && child(tree.node, "alias") === undefined
  },
  {
    since: 16,
    what: "constructors of SQL/JSON",
    isIn: kinds(
      "JsonArrayConstructor",
      "JsonArrayQueryConstructor",
      "JsonObjectConstructor",
      "JsonArrayAgg",
      "JsonObjectAgg"
    )
  },
  { since: 16, what: "IS JSON", isIn: kinds("JsonIsPredicate") },
  { since: 16, what: "CREATE STATISTICS without a name", isIn: having("CreateStatsStmt", ["defnames"], is(undefined)) },
  { since: 16, what: "STORAGE in CREATE TABLE", isIn: having("ColumnDef", ["storage_name"]) },
  { since: 16, what: "WITH INHERIT or SET of GRANT", isIn: option("GrantRoleStmt", "opt", "inherit", "set") },
  { since: 16, what: "DEFAULT of COPY", isIn: option("CopyStmt", "options", "default") },
  {
    since: 16,
    what: "options of VACUUM",
    isIn: option(
      "VacuumStmt",
      "options",
      "skip_database_stats",
      "only_database_stats",
      "process_main",
      "buffer_usage_limit"
    )
  },
  { since: 16, what: "any_value", isIn: callOf("any_value") },
  { since: 17, what: "JSON_TABLE", isIn: kinds("JsonTable") },
  {
    since: 17,
    what: "query functions of SQL/JSON",
    isIn: kinds("JsonFuncExpr", "JsonScalarExpr", "JsonParseExpr", "JsonSerializeExpr")
  },
  {
    since: 17,
    what: "WHEN NOT MATCHED BY SOURCE",
    isIn: having("MergeWhenClause", ["matchKind"], is("MERGE_WHEN_NOT_MATCHED_BY_SOURCE"))
  },
  { since: 17, what: "MERGE … RETURNING", isIn: having("MergeStmt", ["returningClause"]) },
  { since: 17, what: "SET EXPRESSION", isIn: alters("AT_SetExpression") },
  {
    since: 17,
    what: "SET ACCESS METHOD DEFAULT",
    isIn: alters("AT_SetAccessMethod", (node) => child(node, "name") === undefined)
  },
  { since: 17, what: "the privilege MAINTAIN", isIn: having("AccessPriv", ["priv_name"], is("maintain")) },
  { since: 17, what: "options of COPY", isIn: option("CopyStmt", "options", "on_error", "log_verbosity") },
  {
    since: 17,
    what: "AT LOCAL",
    isIn: (tree) =>
      callOf("pg_catalog")(tree) &&
      textOf(tree.node, "funcname", "1", "String", "sval") === "timezone" &&
      listOf(tree.node, "args").length === 1
  },
  {
    since: 18,
    what: "virtual generated columns",
    isIn: constraint("CONSTR_GENERATED", (node) => child(node, "generated_kind") === "v")
  },
  { since: 18, what: "WITHOUT OVERLAPS", isIn: having("Constraint", ["without_overlaps"], is(true)) },
  { since: 18, what: "PERIOD of a foreign key", isIn: having("Constraint", ["fk_with_period"], is(true)) },
  {
    since: 18,
    what: "NOT ENFORCED",
    isIn: (tree) =>
      constraint("CONSTR_ATTR_NOT_ENFORCED", () => true)(tree) ||
      constraint("CONSTR_ATTR_ENFORCED", () => true)(tree) ||
      constraint("CONSTR_CHECK", (node) => child(node, "is_enforced") !== true)(tree) ||
      constraint("CONSTR_FOREIGN", (node) => child(node, "is_enforced") !== true)(tree) ||
      having("ATAlterConstraint", ["alterEnforceability"], is(true))(tree)
  },
  {
    since: 18,
    what: "INHERIT of ALTER CONSTRAINT",
    isIn: having("ATAlterConstraint", ["alterInheritability"], is(true))
  },
  {
    since: 18,
    what: "NOT NULL as a constraint of the table",
    isIn: constraint("CONSTR_NOTNULL", (node) => child(node, "keys") !== undefined)
  },
  { since: 18, what: "old and new in RETURNING", isIn: returnsRow },
  {
    since: 18,
    what: "LIKE of a foreign table",
    isIn: (tree) => tree.kind === "CreateForeignTableStmt" && nodesIn(tree.node).some(kinds("TableLikeClause"))
  },
  { since: 18, what: "options of COPY", isIn: option("CopyStmt", "options", "reject_limit") },
  {
    since: 18,
    what: "default privileges of large objects",
    isIn: having("AlterDefaultPrivilegesStmt", ["action", "objtype"], is("OBJECT_LARGEOBJECT"))
  }
]

/** Integers such as `0x1F` and `1_000` are the same node as others. */
const newNumber = /(?<![\w$.])(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|\d+(?:_\d+)+)(?!\w)/

const inTree = (tree: ParseTree, version: number) => {
  const nodes = [tree, ...nodesIn(tree.node)]
  return syntaxes.find(({ isIn, since }) => since > version && nodes.some(isIn))
}

const since = (what: string, first: number, version: number): string =>
  `PostgreSQL ${version} cannot read it: ${what}, since PostgreSQL ${first}`

/** What a statement needs that PostgreSQL of major version `version` does not have; null if nothing of it is known. */
export const newerSyntax = (statement: string, version: number): Effect.Effect<string | null> =>
  Effect.gen(function* () {
    const tree = yield* readTree(statement)
    const body = /^(DoStmt|CreateFunctionStmt)$/.test(tree.kind) ? yield* plpgsqlOf(statement) : null
    const trees = [tree, ...(yield* Effect.forEach(body?.statements ?? [], readTree))]
    for (const one of trees) {
      const found = inTree(one, version)
      if (found !== undefined) return since(found.what, found.since, version)
    }
    const isNumber = version < 16 && newNumber.test(blanked(statement, quotedParts(statement)))
    return isNumber ? since("numbers such as 0x1F and 1_000", 16, version) : null
  })
