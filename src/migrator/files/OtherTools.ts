import type { RevisionFileProblem } from "./RevisionFile.ts"

/** A file or folder of a service's folder. */
interface NamedText {
  readonly file: string
  readonly content: string
}

/** Another migration tool, as its files show it. */
interface OtherTool {
  readonly tool: string
  /** Of a file's or folder's name. */
  readonly name?: RegExp
  /** Of a file's text. */
  readonly text?: RegExp
  /** Name and text are needed; otherwise one of them is enough. */
  readonly needsBoth?: true
  /** What to do with its files. */
  readonly remedy: string
}

const asPair = "each pair of files becomes one: the up below -- migrate:up, the down below -- migrate:down"
const asUp =
  "above the SQL of each write -- migrate:up, and below it -- migrate:down with the way back, or -- migrate:irreversible <reason>"

/** The first that fits a file wins, so a tool with marks in the text comes before one that is known by names only. */
const otherTools: ReadonlyArray<OtherTool> = [
  {
    tool: "goose",
    text: /^--\s*\+goose\s+(up|down)\b/im,
    remedy:
      "-- +goose Up becomes -- migrate:up, -- +goose Down becomes -- migrate:down, NO TRANSACTION becomes transaction:false on " +
      "both markers, and StatementBegin and StatementEnd go"
  },
  {
    tool: "sql-migrate",
    text: /^--\s*\+migrate\s+(up|down)\b/im,
    remedy: "-- +migrate Up becomes -- migrate:up, -- +migrate Down -- migrate:down"
  },
  {
    tool: "Liquibase",
    text: /^--\s*liquibase formatted sql/im,
    name: /^(db\.)?changelog.*\.(xml|ya?ml|json)$/i,
    remedy: asUp
  },
  {
    tool: "tern",
    text: /^----\s*create above \/ drop below\s*----/im,
    remedy: "the part above its line goes below -- migrate:up, the other below -- migrate:down"
  },
  {
    tool: "node-pg-migrate",
    text: /^--\s*(up|down) migration\b/im,
    remedy: "-- Up Migration becomes -- migrate:up, -- Down Migration -- migrate:down"
  },
  { tool: "Drizzle", text: /^--> statement-breakpoint/m, remedy: `remove the lines --> statement-breakpoint; ${asUp}` },
  {
    tool: "Sqitch",
    text: /^--\s*(deploy|revert|verify)\s+\S+\s+(to|from|on)\s+pg\b/im,
    name: /^(sqitch\.(plan|conf)|deploy|revert)$/,
    remedy:
      "each change becomes one file, in the order of sqitch.plan: its deploy below -- migrate:up, its revert below -- migrate:down, " +
      "its verify below -- migrate:verify; remove begin, commit and rollback"
  },
  {
    tool: "dbmate",
    name: /^\d{5,}_.+\.sql$/,
    text: /^--\s*migrate:(up|down)\b/m,
    needsBoth: true,
    remedy:
      "its markers are the same; an empty migrate:down becomes -- migrate:irreversible <reason>, and lines before migrate:up that are not " +
      "comments go"
  },
  { tool: "Flyway", name: /^([VUB]\d[\d._]*|R)__.+\.(sql|java)$/, remedy: `${asUp}; U files are the ways back` },
  { tool: "golang-migrate or sqlx", name: /^\d+_.+\.(up|down)\.sql$/, remedy: asPair },
  {
    tool: "Diesel",
    name: /^(\d{4}-\d{2}-\d{2}-.+|00000000000000_diesel_initial_setup)$/,
    remedy: "up.sql of each folder goes below -- migrate:up, its down.sql below -- migrate:down of one file"
  },
  {
    tool: "Prisma",
    name: /^(migration_lock\.toml|\d{14}_[^.]+)$/,
    remedy: `migration.sql of each folder becomes a file; ${asUp}`
  },
  { tool: "Atlas", name: /^atlas\.sum$/, remedy: asUp },
  {
    tool: "Alembic",
    name: /^(alembic\.ini|env\.py|versions|[0-9a-f]{12}_.+\.py)$/,
    remedy: "alembic upgrade <revision>:<revision> --sql prints the SQL of each"
  },
  {
    tool: "Rails",
    name: /^\d{14}_.+\.rb$/,
    remedy: "write the SQL of each; config.active_record.schema_format = :sql prints it"
  },
  { tool: "a tool that numbers by time, such as dbmate, goose or sqlx", name: /^\d{8,}_.+\.sql$/, remedy: asUp }
]

const baseName = (file: string): string => file.split(/[/\\]/).pop() ?? ""

const isOf = ({ name, needsBoth, text }: OtherTool, { content, file }: NamedText): boolean => {
  const byName = name?.test(baseName(file)) === true
  const byText = text?.test(content) === true
  return needsBoth === true ? byName && byText : byName || byText
}

/**
 * Replaces the problems of files that another tool wrote by one for that tool, which says what to do. `problems` are those of
 * `files`, which are all of a folder.
 */
export const namingOtherTools = (
  directory: string,
  files: ReadonlyArray<NamedText>,
  problems: ReadonlyArray<RevisionFileProblem>
): ReadonlyArray<RevisionFileProblem> => {
  const refused = new Set(problems.map(({ file }) => file))
  const found = new Map<OtherTool, Array<string>>()
  for (const file of files.filter((one) => refused.has(one.file))) {
    const tool = otherTools.find((one) => isOf(one, file))
    if (tool !== undefined) found.set(tool, [...(found.get(tool) ?? []), file.file])
  }
  const explained = new Set([...found.values()].flat())
  const tools = [...found].map(([{ remedy, tool }, [first = "", ...others]]) => {
    const more = others.length === 0 ? "" : ` and ${others.length} more`
    const problem =
      `this looks like ${tool} (${baseName(first)}${more}): name the files NNNN_slug.sql in their order, from 0001 without gaps, ` +
      `in lower case; ${remedy}`
    return { file: directory, line: 0, problem }
  })
  return [...tools, ...problems.filter(({ file }) => !explained.has(file))]
}
