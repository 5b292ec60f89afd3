import * as Data from "effect/Data"
import {
  child,
  listOf,
  nameOf,
  nodesIn,
  type ParseTree,
  type QualifiedName,
  relationOf,
  shownName,
  textOf
} from "../revision/ParseTree.ts"

/** What a statement could take rows, or values of a column, away from. */
export type Threat = Data.TaggedEnum<{
  /** The rows of a table, with its partitions and children: dropped, truncated, or (at most) deleted. */
  Rows: { readonly table: QualifiedName; readonly moved: boolean }
  /** `truncate … cascade`: those of every table that refers to it too. */
  RowsAndReferrers: { readonly table: QualifiedName; readonly moved: boolean }
  /** The values of a column that are not null: dropped, or replaced by `alter column … type … using`. */
  Values: { readonly table: QualifiedName; readonly column: string; readonly moved: boolean }
  /** Everything in a schema. */
  Schema: { readonly name: string }
  /** What no parser can see: completes "cannot be known: …". */
  Unknown: { readonly what: string }
}>
export const Threat = Data.taggedEnum<Threat>()

/** Take no rows away, in whatever form. Functions that they call are looked at apart. */
const harmless = new Set([
  "AlterDefaultPrivilegesStmt",
  "AlterDomainStmt",
  "AlterEnumStmt",
  "AlterFunctionStmt",
  "AlterObjectSchemaStmt",
  "AlterOwnerStmt",
  "AlterPolicyStmt",
  "AlterSeqStmt",
  "CommentStmt",
  "CompositeTypeStmt",
  "CreateDomainStmt",
  "CreateEnumStmt",
  "CreateExtensionStmt",
  "CreateFunctionStmt",
  "CreatePolicyStmt",
  "CreateSchemaStmt",
  "CreateSeqStmt",
  "CreateStatsStmt",
  "CreateStmt",
  "CreateTableAsStmt",
  "CreateTrigStmt",
  "DeleteStmt",
  "GrantStmt",
  "IndexStmt",
  "InsertStmt",
  "LockStmt",
  "MergeStmt",
  "RefreshMatViewStmt",
  "ReindexStmt",
  "RenameStmt",
  "RuleStmt",
  "SelectStmt",
  "UpdateStmt",
  "VacuumStmt",
  "VariableSetStmt",
  "VariableShowStmt",
  "ViewStmt"
])

/** Hold functions that they define, not run. */
const definitions = new Set(["CreateFunctionStmt", "CreatePolicyStmt", "CreateStmt", "RuleStmt", "ViewStmt"])

/** Can bring rows under another name, so that a table that is not there now may have rows when its turn comes. */
const moves = new Set([
  "AlterObjectSchemaStmt",
  "CreateTableAsStmt",
  "DoStmt",
  "CallStmt",
  "InsertStmt",
  "MergeStmt",
  "RenameStmt"
])

/** Their dependants hold no rows of their own, so that `cascade` takes none. */
const cascadeSafely = new Set([
  "OBJECT_INDEX",
  "OBJECT_MATVIEW",
  "OBJECT_POLICY",
  "OBJECT_RULE",
  "OBJECT_SEQUENCE",
  "OBJECT_TRIGGER",
  "OBJECT_VIEW"
])

const kindName = (removed: string): string =>
  removed
    .replace(/^OBJECT_/, "")
    .replaceAll("_", " ")
    .toLowerCase()

const ofDrop = (node: object, moved: boolean): ReadonlyArray<Threat> => {
  const removed = textOf(node, "removeType") ?? ""
  const objects = listOf(node, "objects")
  const cascades = textOf(node, "behavior") === "DROP_CASCADE"
  if (removed === "OBJECT_TABLE") {
    return objects.map((object) => Threat.Rows({ table: nameOf(listOf(object, "List", "items")), moved }))
  }
  if (removed === "OBJECT_SCHEMA") {
    // Without cascade only an empty one goes.
    return cascades ? objects.map((object) => Threat.Schema({ name: textOf(object, "String", "sval") ?? "" })) : []
  }
  if (removed === "OBJECT_EXTENSION")
    return [Threat.Unknown({ what: "it drops an extension, with the tables of that" })]
  return cascades && !cascadeSafely.has(removed)
    ? [Threat.Unknown({ what: `drop ${kindName(removed)} … cascade may take columns with it` })]
    : []
}

const ofAlterTable = (node: object, moved: boolean): ReadonlyArray<Threat> => {
  const table = relationOf(child(node, "relation"))
  return listOf(node, "cmds").flatMap((command): ReadonlyArray<Threat> => {
    const subtype = textOf(command, "AlterTableCmd", "subtype")
    const column = textOf(command, "AlterTableCmd", "name") ?? ""
    const converted = child(command, "AlterTableCmd", "def", "ColumnDef", "raw_default") !== undefined
    if (subtype === "AT_DropColumn" || (subtype === "AT_AlterColumnType" && converted)) {
      return [
        textOf(node, "objtype") === "OBJECT_TYPE"
          ? Threat.Unknown({ what: `it changes the type ${shownName(table)}, wherever that is used` })
          : Threat.Values({ table, column, moved })
      ]
    }
    return []
  })
}

/** Deletions anywhere in a statement, below `with` too. */
const ofDeletions = (tree: ParseTree, moved: boolean): ReadonlyArray<Threat> =>
  nodesIn({ [tree.kind]: tree.node }).flatMap(({ kind, node }): ReadonlyArray<Threat> => {
    const deletes =
      kind === "DeleteStmt" ||
      (kind === "MergeStmt" &&
        listOf(node, "mergeWhenClauses").some(
          (clause) => textOf(clause, "MergeWhenClause", "commandType") === "CMD_DELETE"
        ))
    return deletes ? [Threat.Rows({ table: relationOf(child(node, "relation")), moved })] : []
  })

/** With an empty search_path an unqualified name is PostgreSQL's own function; these few of those can do harm. */
const ownHarmful = new Set(["lo_unlink", "set_config"])

const ofCalls = (tree: ParseTree): ReadonlyArray<Threat> =>
  definitions.has(tree.kind)
    ? []
    : nodesIn(tree.node).flatMap(({ kind, node }) => {
        if (kind !== "FuncCall") return []
        const called = nameOf(listOf(node, "funcname"))
        const own = called.schema === null || called.schema === "pg_catalog"
        return own && !ownHarmful.has(called.name)
          ? []
          : [Threat.Unknown({ what: `it calls the function ${shownName(called)}` })]
      })

const ofStatement = (tree: ParseTree, moved: boolean): ReadonlyArray<Threat> => {
  const { kind, node } = tree
  if (kind === "DropStmt") return ofDrop(node, moved)
  if (kind === "AlterTableStmt") return [...ofAlterTable(node, moved), ...ofCalls(tree)]
  if (kind === "TruncateStmt") {
    const make = textOf(node, "behavior") === "DROP_CASCADE" ? Threat.RowsAndReferrers : Threat.Rows
    return listOf(node, "relations").map((range) => make({ table: relationOf(child(range, "RangeVar")), moved }))
  }
  if (kind === "VariableSetStmt" && textOf(node, "name") === "search_path") {
    return [Threat.Unknown({ what: "it sets search_path, so that names may mean anything" })]
  }
  if (kind === "DoStmt") return [Threat.Unknown({ what: "a do block can do anything" })]
  if (kind === "CallStmt") return [Threat.Unknown({ what: "it calls a procedure" })]
  if (!harmless.has(kind)) return [Threat.Unknown({ what: `a statement of the kind ${kind}` })]
  return [...ofDeletions(tree, moved), ...ofCalls(tree)]
}

/**
 * What the down scripts of a plan, one list of statements each and in the order in which they run, could destroy. Updates
 * are not counted: they replace values, which a way back is for.
 */
export const threatsOf = (downs: ReadonlyArray<ReadonlyArray<ParseTree>>): ReadonlyArray<ReadonlyArray<Threat>> => {
  let moved = false
  return downs.map((statements) =>
    statements.flatMap((tree) => {
      const threats = ofStatement(tree, moved)
      moved ||= moves.has(tree.kind)
      return threats
    })
  )
}
