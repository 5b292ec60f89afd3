import * as Data from "effect/Data"
import { child, listOf, nameOf, type ParseTree, type QualifiedName, relationOf, textOf } from "./ParseTree.ts"

/** How a statement of a revision without a transaction can be run, and what can be known about it after a kill. */
export type StatementClass = Data.TaggedEnum<{
  /** May run in a transaction, so it commits together with the record of it: it is done or it is not. */
  Transactional: Readonly<Record<never, never>>
  /** Sets something of the session: of no effect for a run that goes on later, which says it again. */
  Setting: Readonly<Record<never, never>>
  /** `create index concurrently`: the catalog tells. `index` null: PostgreSQL chooses the name. */
  CreateIndex: { readonly index: QualifiedName | null; readonly table: QualifiedName }
  /** `drop index concurrently`: the catalog tells. */
  DropIndex: { readonly index: QualifiedName }
  /** Harmless when it runs twice: `vacuum`, `reindex`. */
  Repeatable: Readonly<Record<never, never>>
  /** `call`, `do`, and whatever else commits by itself: nobody can tell. */
  Opaque: Readonly<Record<never, never>>
}>
export const StatementClass = Data.taggedEnum<StatementClass>()

/** What PostgreSQL accepts inside a transaction block, in every form but those told apart below. */
const transactional = new Set([
  "AlterDefaultPrivilegesStmt",
  "AlterDomainStmt",
  "AlterEnumStmt",
  "AlterFunctionStmt",
  "AlterObjectSchemaStmt",
  "AlterOwnerStmt",
  "AlterPolicyStmt",
  "AlterSeqStmt",
  "AlterTableStmt",
  "CommentStmt",
  "CompositeTypeStmt",
  "CreateDomainStmt",
  "CreateEnumStmt",
  "CreateFunctionStmt",
  "CreatePolicyStmt",
  "CreateSchemaStmt",
  "CreateSeqStmt",
  "CreateStatsStmt",
  "CreateStmt",
  "CreateTableAsStmt",
  "CreateTrigStmt",
  "DeleteStmt",
  "DropStmt",
  "GrantStmt",
  "IndexStmt",
  "InsertStmt",
  "MergeStmt",
  "RefreshMatViewStmt",
  "RenameStmt",
  "RuleStmt",
  "SelectStmt",
  "TruncateStmt",
  "UpdateStmt",
  "ViewStmt"
])

/** Tells a statement's class from its parse tree. */
export const classOf = ({ kind, node }: ParseTree): StatementClass => {
  if (kind === "IndexStmt" && child(node, "concurrent") === true) {
    const table = relationOf(child(node, "relation"))
    const name = textOf(node, "idxname")
    return StatementClass.CreateIndex({ table, index: name === null ? null : { schema: table.schema, name } })
  }
  if (kind === "DropStmt" && child(node, "concurrent") === true) {
    return StatementClass.DropIndex({ index: nameOf(listOf(node, "objects", "0", "List", "items")) })
  }
  const detaches = listOf(node, "cmds").some(
    (command) => child(command, "AlterTableCmd", "def", "PartitionCmd", "concurrent") === true
  )
  if (kind === "AlterTableStmt" && detaches) return StatementClass.Opaque()
  if (kind === "VariableSetStmt") return StatementClass.Setting()
  if (kind === "VacuumStmt" || kind === "ReindexStmt") return StatementClass.Repeatable()
  return transactional.has(kind) ? StatementClass.Transactional() : StatementClass.Opaque()
}
