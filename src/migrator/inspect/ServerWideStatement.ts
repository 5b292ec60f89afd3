import * as Effect from "effect/Effect"
import { contentsOf } from "../files/NestedStatements.ts"
import { type Revision, revisionName } from "../files/Revision.ts"
import { sectionsOf } from "../files/RevisionCheck.ts"
import { child, listOf, nameOf, type ParseTree, relationOf, splitStatements, textOf } from "../files/Statements.ts"

/** Statements on what all databases of a server share, or on another server. */
const statements: Readonly<Record<string, string>> = {
  CreateRoleStmt: "creates a role",
  AlterRoleStmt: "changes a role",
  AlterRoleSetStmt: "changes the settings of a role",
  DropRoleStmt: "drops a role",
  GrantRoleStmt: "grants or revokes membership in a role",
  DropOwnedStmt: "drops what a role owns and its privileges on databases (drop owned)",
  ReassignOwnedStmt: "gives what a role owns to another (reassign owned)",
  CreatedbStmt: "creates a database",
  DropdbStmt: "drops a database",
  AlterDatabaseStmt: "changes a database",
  AlterDatabaseSetStmt: "changes the settings of a database",
  AlterDatabaseRefreshCollStmt: "changes a database",
  CreateTableSpaceStmt: "creates a tablespace",
  DropTableSpaceStmt: "drops a tablespace",
  AlterTableSpaceOptionsStmt: "changes a tablespace",
  AlterSystemStmt: "changes the configuration of the server (alter system)",
  CreateSubscriptionStmt: "creates a subscription",
  AlterSubscriptionStmt: "changes a subscription",
  DropSubscriptionStmt: "drops a subscription",
  CreateForeignServerStmt: "reaches another server (create server)",
  AlterForeignServerStmt: "reaches another server (alter server)",
  ImportForeignSchemaStmt: "reaches another server (import foreign schema)",
  LoadStmt: "loads a library of the server (load)",
  CheckPointStmt: "acts on the whole server (checkpoint)"
}

/** The kinds of objects that a server has once, as `comment on`, `grant`, `alter … rename`, `owner to` and `security label` name them. */
const objects: Readonly<Record<string, string>> = {
  OBJECT_ROLE: "a role",
  OBJECT_DATABASE: "a database",
  OBJECT_TABLESPACE: "a tablespace",
  OBJECT_SUBSCRIPTION: "a subscription",
  OBJECT_PARAMETER_ACL: "a parameter of the server"
}

/** PostgreSQL's functions that act on the server, its files, its sessions or its replication. */
const functions =
  /^(pg_reload_conf|pg_rotate_logfile.*|pg_terminate_backend|pg_cancel_backend|pg_promote|pg_switch_wal|pg_create_restore_point|pg_(start|stop)_backup|pg_backup_(start|stop)|pg_wal_replay_.*|pg_(create|copy|drop|advance|sync)_.*replication_slots?.*|pg_replication_.*|pg_logical_.*|pg_stat_reset_(shared|slru|replication_slot|subscription_stats)|pg_log_.*|pg_file_.*|lo_export|lo_import)$/

/** Functions of extensions that run statements in other databases or servers. */
const reaching = /^dblink/

/** The tables in which PostgreSQL keeps what all databases share. */
const catalogs =
  /^pg_(authid|auth_members|database|db_role_setting|tablespace|subscription|parameter_acl|replication_origin|shdepend|shdescription|shseclabel)$/

const writes = new Set(["DeleteStmt", "InsertStmt", "MergeStmt", "UpdateStmt"])

/** What a node does beyond its database; null if nothing. */
const reachOf = ({ kind, node }: ParseTree): string | null => {
  const known = statements[kind]
  if (known !== undefined) return known
  if (kind === "FuncCall") {
    const { name, schema } = nameOf(listOf(node, "funcname"))
    const own = schema === null || schema === "pg_catalog"
    return (own && functions.test(name)) || reaching.test(name) || schema === "cron" ? `calls ${name}` : null
  }
  if (kind === "CopyStmt" && child(node, "filename") !== undefined) {
    return child(node, "is_program") === true
      ? "runs a program on the server (copy)"
      : "uses a file of the server (copy)"
  }
  if (writes.has(kind)) {
    const { name, schema } = relationOf(child(node, "relation"))
    return (schema ?? "pg_catalog") === "pg_catalog" && catalogs.test(name) ? `writes to ${name}` : null
  }
  const object = ["objtype", "objectType", "renameType", "removeType"]
    .map((field) => objects[textOf(node, field) ?? ""])
    .find((found) => found !== undefined)
  return object === undefined ? null : `acts on ${object}`
}

/** What revisions do beyond the database that they run in, and the roles that they use. */
export interface ServerReach {
  /** Each with its place, such as `0002_role.sql:3: creates a role`; empty if they stay in their database. */
  readonly findings: ReadonlyArray<string>
  /** Roles that statements name, such as in `grant … to`, before any revision creates them. */
  readonly roles: ReadonlyArray<string>
}

/** The roles that a node names. */
const rolesIn = ({ kind, node }: ParseTree): ReadonlyArray<string> => {
  const found =
    kind === "RoleSpec"
      ? [textOf(node, "rolename")]
      : kind === "GrantRoleStmt"
        ? listOf(node, "granted_roles").map((role) => textOf(role, "AccessPriv", "priv_name"))
        : kind === "VariableSetStmt" && ["role", "session_authorization"].includes(textOf(node, "name") ?? "")
          ? [textOf(listOf(node, "args")[0], "A_Const", "sval", "sval")]
          : textOf(node, "renameType") === "OBJECT_ROLE"
            ? [textOf(node, "subname")]
            : textOf(node, "objtype") === "OBJECT_ROLE"
              ? [textOf(node, "object", "String", "sval")]
              : []
  return found.flatMap((role) => role ?? [])
}

/** The role that a node creates. */
const created = ({ kind, node }: ParseTree): ReadonlyArray<string> => {
  const renamed = textOf(node, "renameType") === "OBJECT_ROLE" ? textOf(node, "newname") : null
  const role = kind === "CreateRoleStmt" ? textOf(node, "role") : renamed
  return role === null ? [] : [role]
}

const reachOfRevision = Effect.fnUntraced(function* (revision: Revision) {
  const named = revisionName(revision.number, revision.slug)
  if (revision.kind === "ts") {
    return [{ findings: [`${named}: cannot be known: a data revision is a program`], used: [], created: [] }]
  }
  return yield* Effect.forEach(sectionsOf(revision), ({ file, section }) =>
    Effect.gen(function* () {
      // A section that cannot be parsed does not run: the migration ends with its error.
      const texts = yield* Effect.orElseSucceed(splitStatements(section), () => [])
      const read = yield* Effect.forEach(texts, ({ line, text }) =>
        Effect.map(contentsOf(text), (contents) => ({ line, ...contents }))
      )
      const findings = read.flatMap(({ line, nodes, unknown }) => {
        const reach = nodes.map(reachOf).find((found) => found !== null)
        const what = reach ?? (unknown[0] === undefined ? undefined : `cannot be known: ${unknown[0]}`)
        return what === undefined ? [] : [`${file}:${line}: ${what}`]
      })
      const nodes = read.flatMap((one) => one.nodes)
      return {
        findings,
        used: nodes.flatMap(rolesIn),
        created: nodes.flatMap(created)
      }
    })
  )
})

/**
 * Reads what revisions do beyond their database, in both directions, also inside `do` blocks and functions. Text that is made while
 * it runs, and the code of a data revision, cannot be known and counts as such.
 */
export const serverReachOf = (revisions: ReadonlyArray<Revision>): Effect.Effect<ServerReach> =>
  Effect.map(Effect.forEach(revisions, reachOfRevision), (found) => {
    const made = new Set<string>()
    const roles = new Set<string>()
    for (const sections of found) {
      for (const role of sections.flatMap(({ created }) => created)) made.add(role)
      // A role that an earlier revision uses was there before.
      for (const role of sections.flatMap(({ used }) => used)) if (!made.has(role)) roles.add(role)
    }
    return { findings: found.flat().flatMap(({ findings }) => findings), roles: [...roles].sort() }
  })
