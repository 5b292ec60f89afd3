import * as Data from "effect/Data"
import { child, listOf, nameOf, type ParseTree, type QualifiedName, relationOf, textOf } from "./ParseTree.ts"

/** How a statement of a revision without a transaction runs, and what can be known about it after a crash. */
export type StatementClass = Data.TaggedEnum<{
  /** May run in a transaction, so it commits together with its record: it is done or it is not. */
  Transactional: Readonly<Record<never, never>>
  /** Changes a setting of the session; a run that continues later executes it again. */
  Setting: Readonly<Record<never, never>>
  /** `create index concurrently`: the catalog shows its outcome. `index` is null if PostgreSQL chooses the name. */
  CreateIndex: { readonly index: QualifiedName | null; readonly table: QualifiedName }
  /** `drop index concurrently`: the catalog shows its outcome. */
  DropIndex: { readonly index: QualifiedName }
  /** Safe to run twice: `vacuum`, `reindex`. */
  Repeatable: Readonly<Record<never, never>>
  /** `call`, `do` and every other statement that commits by itself: its outcome cannot be known. */
  Opaque: Readonly<Record<never, never>>
}>
export const StatementClass = Data.taggedEnum<StatementClass>()

/** Statements that PostgreSQL accepts in a transaction block, except for the forms that `classOf` checks first. */
const transactional = new Set(
  `AlterDefaultPrivilegesStmt AlterDomainStmt AlterEnumStmt AlterFunctionStmt AlterObjectSchemaStmt AlterOwnerStmt
  AlterPolicyStmt AlterSeqStmt AlterTableStmt CommentStmt CompositeTypeStmt CreateDomainStmt CreateEnumStmt
  CreateFunctionStmt CreatePolicyStmt CreateSchemaStmt CreateSeqStmt CreateStatsStmt CreateStmt CreateTableAsStmt
  CreateTrigStmt DeleteStmt DropStmt GrantStmt IndexStmt InsertStmt MergeStmt RefreshMatViewStmt RenameStmt RuleStmt
  SelectStmt TruncateStmt UpdateStmt ViewStmt`.split(/\s+/)
)

/** Classifies a statement by its parse tree. */
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
