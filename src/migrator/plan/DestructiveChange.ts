import * as Data from "effect/Data"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
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
} from "../files/Statements.ts"

/** Rows, or values of a column, that a statement could destroy. */
export type DestructiveChange = Data.TaggedEnum<{
  /** The rows of a table, with its partitions and children: dropped, truncated or deleted. */
  Rows: { readonly table: QualifiedName; readonly moved: boolean }
  /** `truncate … cascade`: also the rows of every table that refers to it. */
  RowsAndReferrers: { readonly table: QualifiedName; readonly moved: boolean }
  /** The values of a column that are not null: dropped, or replaced by `alter column … type … using`. */
  Values: { readonly table: QualifiedName; readonly column: string; readonly moved: boolean }
  /** `drop table … cascade`: columns and tables of its row type, or of the type of a view that is dropped with it. */
  Dependants: { readonly table: QualifiedName }
  /** Everything in a schema, and everything that depends on it. */
  Schema: { readonly name: string; readonly moved: boolean }
  /** Rows of a table are written. The statement does not show what its triggers, rules and references do. */
  Written: { readonly table: QualifiedName; readonly renamed: boolean }
  /** A change that a parser cannot see; `what` completes "cannot be known: …". */
  Unknown: { readonly what: string }
}>
export const DestructiveChange = Data.taggedEnum<DestructiveChange>()

/** Statements that destroy no rows in any form. Functions that they call are checked separately. */
const harmless = new Set(
  `AlterDefaultPrivilegesStmt AlterDomainStmt AlterEnumStmt AlterFunctionStmt AlterObjectSchemaStmt AlterOwnerStmt
  AlterPolicyStmt AlterSeqStmt CommentStmt CompositeTypeStmt CreateDomainStmt CreateEnumStmt CreateExtensionStmt
  CreateFunctionStmt CreatePolicyStmt CreateSchemaStmt CreateSeqStmt CreateStatsStmt CreateStmt CreateTableAsStmt
  CreateTrigStmt DeleteStmt GrantStmt IndexStmt InsertStmt LockStmt MergeStmt RefreshMatViewStmt ReindexStmt RenameStmt
  RuleStmt SelectStmt UpdateStmt VacuumStmt VariableSetStmt VariableShowStmt ViewStmt`.split(/\s+/)
)

/** Statements whose function calls are part of a definition and do not run. */
const definitions = new Set(["CreateFunctionStmt", "CreatePolicyStmt", "CreateStmt", "RuleStmt", "ViewStmt"])

/** Statements after which a name may mean another table, or the table may behave differently. */
const renames = new Set(["AlterObjectSchemaStmt", "CallStmt", "CreateTrigStmt", "DoStmt", "RenameStmt", "RuleStmt"])

/** Statements after which, as after those above, a table may hold other rows. */
const fills = new Set(["CreateTableAsStmt", "InsertStmt", "MergeStmt"])

/** True for `attach partition` and `inherit`, which put the rows of one table below another. */
const attaches = ({ kind, node }: ParseTree): boolean =>
  kind === "AlterTableStmt" &&
  listOf(node, "cmds").some((command) =>
    ["AT_AttachPartition", "AT_AddInherit"].includes(textOf(command, "AlterTableCmd", "subtype") ?? "")
  )

/** Objects on which no values depend. A view is not among them: a column may have its row type. */
const cascadeSafely = new Set(["OBJECT_INDEX", "OBJECT_POLICY", "OBJECT_RULE", "OBJECT_TRIGGER"])

const kindName = (removed: string): string =>
  removed
    .replace(/^OBJECT_/, "")
    .replaceAll("_", " ")
    .toLowerCase()

const unknown = (what: string): ReadonlyArray<DestructiveChange> => [DestructiveChange.Unknown({ what })]

/** The statement and every node below it. */
const allNodes = ({ kind, node }: ParseTree): ReadonlyArray<ParseTree> => nodesIn({ [kind]: node })

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
    // Without cascade PostgreSQL only drops an empty schema.
    return cascades
      ? objects.map((object) => DestructiveChange.Schema({ name: textOf(object, "String", "sval") ?? "", moved }))
      : []
  }
  if (removed === "OBJECT_EXTENSION") return unknown("it drops an extension together with its tables")
  return cascades && !cascadeSafely.has(removed) ? unknown(`drop ${kindName(removed)} … cascade may drop columns`) : []
}

/** True for text of any length: every value has a text form that reads back as the same value. Other conversions may lose data. */
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
      return unknown(`alter table ${shownName(table)} … cascade may drop columns of other tables`)
    }
    if (subtype === "AT_DropColumn" || (subtype === "AT_AlterColumnType" && converted)) {
      return textOf(node, "objtype") === "OBJECT_TYPE"
        ? unknown(`it changes the type ${shownName(table)} in every table that uses it`)
        : [DestructiveChange.Values({ table, column, moved })]
    }
    return []
  })
}

/** Deletions anywhere in a statement, also inside `with`. */
const ofDeletions = (tree: ParseTree, moved: boolean): ReadonlyArray<DestructiveChange> =>
  allNodes(tree).flatMap(({ kind, node }) => {
    const deletes =
      kind === "DeleteStmt" ||
      (kind === "MergeStmt" &&
        listOf(node, "mergeWhenClauses").some(
          (clause) => textOf(clause, "MergeWhenClause", "commandType") === "CMD_DELETE"
        ))
    return deletes ? [DestructiveChange.Rows({ table: relationOf(child(node, "relation")), moved })] : []
  })

const writes = new Set(["DeleteStmt", "InsertStmt", "MergeStmt", "UpdateStmt"])

/** The tables that a statement writes to, also inside `with`. */
const ofWrites = (tree: ParseTree, renamed: boolean): ReadonlyArray<DestructiveChange> =>
  allNodes(tree).flatMap(({ kind, node }) =>
    writes.has(kind) ? [DestructiveChange.Written({ table: relationOf(child(node, "relation")), renamed })] : []
  )

/** With an empty search_path an unqualified name is one of PostgreSQL's own functions; these are the harmful ones. */
const ownHarmful = new Set(["lo_unlink", "set_config"])

const ofCalls = (node: object): ReadonlyArray<DestructiveChange> =>
  nodesIn(node).flatMap(({ kind, node }) => {
    const called = nameOf(listOf(node, "funcname"))
    const own = called.schema === null || called.schema === "pg_catalog"
    const harms = kind === "FuncCall" && !(own && !ownHarmful.has(called.name))
    return harms ? unknown(`it calls the function ${shownName(called)}`) : []
  })

const ofStatement = (tree: ParseTree, moved: boolean, renamed: boolean): ReadonlyArray<DestructiveChange> => {
  const { kind, node } = tree
  if (kind === "DropStmt") return ofDrop(node, moved)
  if (kind === "AlterTableStmt") return [...ofAlterTable(node, moved), ...ofCalls(node)]
  if (kind === "TruncateStmt") {
    const make =
      textOf(node, "behavior") === "DROP_CASCADE" ? DestructiveChange.RowsAndReferrers : DestructiveChange.Rows
    const tables = listOf(node, "relations").map((range) => relationOf(child(range, "RangeVar")))
    return tables.flatMap((table) => [make({ table, moved }), DestructiveChange.Written({ table, renamed })])
  }
  if (kind === "VariableSetStmt" && textOf(node, "name") === "search_path") {
    return unknown("it sets search_path, so names may refer to any table")
  }
  if (kind === "DoStmt") return unknown("a do block can do anything")
  if (kind === "CallStmt") return unknown("it calls a procedure")
  if (!harmless.has(kind)) return unknown(`a statement of the kind ${kind}`)
  const runs = definitions.has(kind) ? [] : [...ofWrites(tree, renamed), ...ofCalls(node)]
  return [...ofDeletions(tree, moved), ...runs]
}

/**
 * Finds what the down scripts of a plan could destroy. `downs` has one list of statements per script, in the order in which they
 * run. Updates do not count: replacing values is what a downgrade is for.
 */
export const destructiveChangesIn = (
  downs: ReadonlyArray<ReadonlyArray<ParseTree>>
): ReadonlyArray<ReadonlyArray<DestructiveChange>> => {
  let moved = false
  let renamed = false
  return downs.map((statements) =>
    statements.flatMap((tree) => {
      const changes = ofStatement(tree, moved, renamed)
      renamed ||= renames.has(tree.kind) || attaches(tree)
      // Also inside `with`.
      moved ||= renamed || allNodes(tree).some(({ kind }) => fills.has(kind))
      return changes
    })
  )
}

/** Rows or values that a down script would destroy, as they are now. */
export const DataLoss = Schema.Struct({
  /** The revision whose down it is. */
  revision: Schema.String,
  /** Such as `router.history`. Null if it is not known what would be destroyed. */
  table: Schema.NullOr(Schema.String),
  column: Schema.NullOr(Schema.String),
  /** The number of rows, or of values that are not null. Null: not counted, see `note`. */
  rows: Schema.NullOr(Schema.Number),
  /** Why the number is missing or may be too low. */
  note: Schema.NullOr(Schema.String)
})
export type DataLoss = typeof DataLoss.Type

/** Formats a loss on one line, such as `0002_b: table router.b: 1 row`. */
export const shownLoss = ({ column, note, revision, rows, table }: DataLoss): string => {
  const what = table === null ? "cannot be known" : column === null ? `table ${table}` : `column ${table}.${column}`
  const unit = column === null ? "row" : "value"
  const count = rows === null ? "" : `: ${rows} ${unit}${rows === 1 ? "" : "s"}`
  return `${revision}: ${what}${count}${note === null ? "" : `${count === "" ? ": " : "; "}${note}`}`
}

/** A downgrade would, or might, destroy rows. */
export class DataLossRefused extends Schema.TaggedError<DataLossRefused>()("DataLossRefused", {
  service: ServiceName,
  /** The revision to which the downgrade would have led. */
  goal: Schema.String,
  losses: Schema.Array(DataLoss),
  /** The revision that the schema is at now; null if nothing was reverted. */
  current: Schema.NullOr(Schema.String)
}) {
  readonly exitCode = ExitCode.refused
  override get message(): string {
    return (
      `${this.service}: the downgrade to ${this.goal} destroys data; ` +
      `${this.current === null ? "nothing was reverted" : `it stopped at ${this.current}`}:\n` +
      `${this.losses.map((loss) => `  ${shownLoss(loss)}`).join("\n")}\n` +
      "Save what is needed (pg_dump --table …), then, if these may go: " +
      `pnpm migrate --service ${this.service} downgrade ${this.goal} --allow-data-loss`
    )
  }
}
