import type { ServiceName } from "../../domain/Service.ts"

/**
 * The statements that create format 1 of the history tables. They never change: existing databases are brought to a later format
 * by `historyFormats`, and new ones go through the same formats.
 *
 * `schema_history` has a row for each applied revision; a downgrade removes the row. `schema_event` keeps everything that ever
 * happened; a trigger refuses changes, also by its owner. `schema_version` always has one row: the current revision, or number
 * 0, name `base`, with nulls. Every role that may use the schema can read it, so that the application can check its revision.
 */
const format1 = (service: ServiceName): ReadonlyArray<string> => [
  `create table ${service}.schema_history (
  revision integer primary key check (revision > 0),
  position bigint generated always as identity unique,
  slug text not null,
  kind text not null check (kind in ('sql')),
  phase text not null check (phase in ('expand', 'contract')),
  state text not null check (state in ('applied', 'applying', 'reverting')),
  up_checksum text not null,
  down_checksum text,
  down_script text,
  irreversible_reason text,
  steps_done integer not null,
  steps_total integer not null,
  started_at timestamptz not null,
  finished_at timestamptz,
  duration_ms double precision,
  applied_by text not null default current_user,
  app_version text not null,
  tool_version integer not null,
  check (steps_done between 0 and steps_total),
  check ((down_script is null) = (irreversible_reason is not null))
)`,
  `create table ${service}.schema_event (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  event text not null check (event in ('prepared', 'applied', 'reverted', 'failed', 'stamped', 'repaired')),
  revision integer,
  slug text,
  reason text,
  done_by text not null default current_user,
  app_version text not null,
  tool_version integer not null
)`,
  `create function ${service}.refuse_schema_event_change() returns trigger language plpgsql set search_path = '' as $$
begin
  raise exception '${service}.schema_event is append-only: % refused', tg_op using errcode = 'insufficient_privilege';
end
$$`,
  `create trigger schema_event_append_only before update or delete or truncate on ${service}.schema_event
  for each statement execute function ${service}.refuse_schema_event_change()`,
  `create view ${service}.schema_version as
  select coalesce(history.revision, 0) as revision,
    coalesce(history.slug, 'base') as slug,
    coalesce(pg_catalog.lpad(history.revision::text, 4, '0') || '_' || history.slug, 'base') as name,
    history.finished_at as applied_at,
    history.applied_by,
    history.app_version,
    history.tool_version
  from (values (1)) as always (one)
  left join lateral (
    select * from ${service}.schema_history where state = 'applied' order by revision desc limit 1
  ) as history on true`,
  `grant select on ${service}.schema_version to public`,
  `comment on table ${service}.schema_history is 'The revisions that stand in this schema. Written by pnpm migrate only.'`,
  `comment on table ${service}.schema_event is 'Everything the migrator ever did here. Append-only.'`,
  `comment on view ${service}.schema_version is 'The current revision: always one row, number 0 (base) before the first.'`
]

/**
 * Format 2 adds data revisions (`kind` ts, without a stored down), what a revision without a transaction needs to continue after
 * an interruption, and details of events.
 *
 * `step_checksums` has the SHA-256 of each statement that is done. `steps_begun` is one more than `steps_done` while a statement
 * runs that cannot commit with this row, so that after a crash its outcome is known to be unknown. `progress` is the progress
 * of batched work, by name.
 */
const format2 = (service: ServiceName): ReadonlyArray<string> => [
  `alter table ${service}.schema_history
  add column steps_begun integer not null default 0,
  add column step_checksums text[] not null default '{}',
  add column progress jsonb not null default '{}',
  drop constraint schema_history_kind_check,
  drop constraint schema_history_check1,
  add constraint schema_history_kind_check check (kind in ('sql', 'ts')),
  add constraint schema_history_down_check
    check (case kind when 'sql' then (down_script is null) = (irreversible_reason is not null) else down_script is null end)`,
  `alter table ${service}.schema_event
  add column details jsonb,
  drop constraint schema_event_event_check,
  add constraint schema_event_event_check
    check (event in ('prepared', 'applied', 'reverted', 'failed', 'stamped', 'repaired', 'unlocked'))`
]

/** The formats in order: format `n` at index `n - 1`, created from the one before it. `toolVersion` is the last. */
export const historyFormats = [format1, format2] as const
