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
} from "../files/ParseTree.ts"

/** What a statement could take rows, or values of a column, away from. */
export type DestructiveChange = Data.TaggedEnum<{
  /** The rows of a table, with its partitions and children: dropped, truncated, or (at most) deleted. */
  Rows: { readonly table: QualifiedName; readonly moved: boolean }
  /** `truncate … cascade`: those of every table that refers to it too. */
  RowsAndReferrers: { readonly table: QualifiedName; readonly moved: boolean }
  /** The values of a column that are not null: dropped, or replaced by `alter column … type … using`. */
  Values: { readonly table: QualifiedName; readonly column: string; readonly moved: boolean }
  /** `drop table … cascade`: columns and tables made of its row type, or of a view's that goes with it. */
  Dependants: { readonly table: QualifiedName }
  /** Everything in a schema, and what depends on it. */
  Schema: { readonly name: string; readonly moved: boolean }
  /** Rows of a table are written: what its triggers, rules and references do besides is not in the statement. */
  Written: { readonly table: QualifiedName; readonly renamed: boolean }
  /** What no parser can see: completes "cannot be known: …". */
  Unknown: { readonly what: string }
}>
export const DestructiveChange = Data.taggedEnum<DestructiveChange>()

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

/** After these a name may mean another table, or another behaviour of it, than it does now. */
const renames = new Set(["AlterObjectSchemaStmt", "CallStmt", "CreateTrigStmt", "DoStmt", "RenameStmt", "RuleStmt"])

/** After these, and those above, a table may hold other rows than it does now. */
const fills = new Set(["CreateTableAsStmt", "InsertStmt", "MergeStmt"])

/** `attach partition` and `inherit` put the rows of one table below another. */
const attaches = ({ kind, node }: ParseTree): boolean =>
  kind === "AlterTableStmt" &&
  listOf(node, "cmds").some((command) =>
    ["AT_AttachPartition", "AT_AddInherit"].includes(textOf(command, "AlterTableCmd", "subtype") ?? "")
  )

/** Nothing that holds values can depend on them. A view is not among them: it is a type that a column may have. */
const cascadeSafely = new Set(["OBJECT_INDEX", "OBJECT_POLICY", "OBJECT_RULE", "OBJECT_TRIGGER"])

const kindName = (removed: string): string =>
  removed
    .replace(/^OBJECT_/, "")
    .replaceAll("_", " ")
    .toLowerCase()

const ofDrop = (node: object, moved: boolean): ReadonlyArray<DestructiveChange> => {
  const removed = textOf(node, "removeType") ?? ""
  const objects = listOf(node, "objects")
  const cascades = textOf(node, "behavior") === "DROP_CASCADE"
  if (removed === "OBJECT_TABLE") {
    const tables = objects.map((object) => nameOf(listOf(object, "List", "items")))
    return [
      ...tables.map((table) => DestructiveChange.Rows({ table, moved })),
      ...(cascades ? tables.map((table) => DestructiveChange.Dependants({ table })) : [])
    ]
  }
  if (removed === "OBJECT_SCHEMA") {
    // Without cascade only an empty one goes.
    return cascades
      ? objects.map((object) => DestructiveChange.Schema({ name: textOf(object, "String", "sval") ?? "", moved }))
      : []
  }
  if (removed === "OBJECT_EXTENSION")
    return [DestructiveChange.Unknown({ what: "it drops an extension, with the tables of that" })]
  return cascades && !cascadeSafely.has(removed)
    ? [DestructiveChange.Unknown({ what: `drop ${kindName(removed)} … cascade may take columns with it` })]
    : []
}

/** Every value has a text, which is read back as the same value; any other conversion may round, cut or forget. */
const isText = (definition: unknown): boolean => {
  const { name, schema } = nameOf(listOf(definition, "ColumnDef", "typeName", "names"))
  const limited = listOf(definition, "ColumnDef", "typeName", "typmods").length > 0
  const array = listOf(definition, "ColumnDef", "typeName", "arrayBounds").length > 0
  return (schema === null || schema === "pg_catalog") && (name === "text" || name === "varchar") && !limited && !array
}

const ofAlterTable = (node: object, moved: boolean): ReadonlyArray<DestructiveChange> => {
  const table = relationOf(child(node, "relation"))
  return listOf(node, "cmds").flatMap((command): ReadonlyArray<DestructiveChange> => {
    const subtype = textOf(command, "AlterTableCmd", "subtype")
    const column = textOf(command, "AlterTableCmd", "name") ?? ""
    const definition = child(command, "AlterTableCmd", "def")
    const converted = child(definition, "ColumnDef", "raw_default") !== undefined || !isText(definition)
    if (textOf(command, "AlterTableCmd", "behavior") === "DROP_CASCADE") {
      return [
        DestructiveChange.Unknown({
          what: `alter table ${shownName(table)} … cascade may take columns of other tables with it`
        })
      ]
    }
    if (subtype === "AT_DropColumn" || (subtype === "AT_AlterColumnType" && converted)) {
      return [
        textOf(node, "objtype") === "OBJECT_TYPE"
          ? DestructiveChange.Unknown({ what: `it changes the type ${shownName(table)}, wherever that is used` })
          : DestructiveChange.Values({ table, column, moved })
      ]
    }
    return []
  })
}

/** Deletions anywhere in a statement, below `with` too. */
const ofDeletions = (tree: ParseTree, moved: boolean): ReadonlyArray<DestructiveChange> =>
  nodesIn({ [tree.kind]: tree.node }).flatMap(({ kind, node }): ReadonlyArray<DestructiveChange> => {
    const deletes =
      kind === "DeleteStmt" ||
      (kind === "MergeStmt" &&
        listOf(node, "mergeWhenClauses").some(
          (clause) => textOf(clause, "MergeWhenClause", "commandType") === "CMD_DELETE"
        ))
    return deletes ? [DestructiveChange.Rows({ table: relationOf(child(node, "relation")), moved })] : []
  })

const writes = new Set(["DeleteStmt", "InsertStmt", "MergeStmt", "UpdateStmt"])

/** The tables that a statement writes to, below `with` too. */
const ofWrites = (tree: ParseTree, renamed: boolean): ReadonlyArray<DestructiveChange> =>
  definitions.has(tree.kind)
    ? []
    : nodesIn({ [tree.kind]: tree.node }).flatMap(({ kind, node }) =>
        writes.has(kind) ? [DestructiveChange.Written({ table: relationOf(child(node, "relation")), renamed })] : []
      )

/** With an empty search_path an unqualified name is PostgreSQL's own function; these few of those can do harm. */
const ownHarmful = new Set(["lo_unlink", "set_config"])

const ofCalls = (tree: ParseTree): ReadonlyArray<DestructiveChange> =>
  definitions.has(tree.kind)
    ? []
    : nodesIn(tree.node).flatMap(({ kind, node }) => {
        if (kind !== "FuncCall") return []
        const called = nameOf(listOf(node, "funcname"))
        const own = called.schema === null || called.schema === "pg_catalog"
        return own && !ownHarmful.has(called.name)
          ? []
          : [DestructiveChange.Unknown({ what: `it calls the function ${shownName(called)}` })]
      })

const ofStatement = (tree: ParseTree, moved: boolean, renamed: boolean): ReadonlyArray<DestructiveChange> => {
  const { kind, node } = tree
  if (kind === "DropStmt") return ofDrop(node, moved)
  if (kind === "AlterTableStmt") return [...ofAlterTable(node, moved), ...ofCalls(tree)]
  if (kind === "TruncateStmt") {
    const make =
      textOf(node, "behavior") === "DROP_CASCADE" ? DestructiveChange.RowsAndReferrers : DestructiveChange.Rows
    const tables = listOf(node, "relations").map((range) => relationOf(child(range, "RangeVar")))
    return tables.flatMap((table) => [make({ table, moved }), DestructiveChange.Written({ table, renamed })])
  }
  if (kind === "VariableSetStmt" && textOf(node, "name") === "search_path") {
    return [DestructiveChange.Unknown({ what: "it sets search_path, so that names may mean anything" })]
  }
  if (kind === "DoStmt") return [DestructiveChange.Unknown({ what: "a do block can do anything" })]
  if (kind === "CallStmt") return [DestructiveChange.Unknown({ what: "it calls a procedure" })]
  if (!harmless.has(kind)) return [DestructiveChange.Unknown({ what: `a statement of the kind ${kind}` })]
  return [...ofDeletions(tree, moved), ...ofWrites(tree, renamed), ...ofCalls(tree)]
}

/**
 * What the down scripts of a plan, one list of statements each and in the order in which they run, could destroy. Updates
 * are not counted: they replace values, which a way back is for.
 */
export const destructiveChangesIn = (
  downs: ReadonlyArray<ReadonlyArray<ParseTree>>
): ReadonlyArray<ReadonlyArray<DestructiveChange>> => {
  let moved = false
  let renamed = false
  return downs.map((statements) =>
    statements.flatMap((tree) => {
      const threats = ofStatement(tree, moved, renamed)
      renamed ||= renames.has(tree.kind) || attaches(tree)
      // Below `with` too.
      moved ||= renamed || nodesIn({ [tree.kind]: tree.node }).some(({ kind }) => fills.has(kind))
      return threats
    })
  )
}
