-- The history tables as the first form of the migrator made them. Never edited.

create table router.schema_history (
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
);

create table router.schema_event (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  event text not null check (event in ('prepared', 'applied', 'reverted', 'failed', 'stamped', 'repaired')),
  revision integer,
  slug text,
  reason text,
  done_by text not null default current_user,
  app_version text not null,
  tool_version integer not null
);

create function router.refuse_schema_event_change() returns trigger language plpgsql set search_path = '' as $$
begin
  raise exception 'router.schema_event is append-only: % refused', tg_op using errcode = 'insufficient_privilege';
end
$$;

create trigger schema_event_append_only before update or delete or truncate on router.schema_event
  for each statement execute function router.refuse_schema_event_change();

create view router.schema_version as
  select coalesce(history.revision, 0) as revision,
    coalesce(history.slug, 'base') as slug,
    coalesce(pg_catalog.lpad(history.revision::text, 4, '0') || '_' || history.slug, 'base') as name,
    history.finished_at as applied_at,
    history.applied_by,
    history.app_version,
    history.tool_version
  from (values (1)) as always (one)
  left join lateral (
    select * from router.schema_history where state = 'applied' order by revision desc limit 1
  ) as history on true;

grant select on router.schema_version to public;

comment on table router.schema_history is 'The revisions that stand in this schema. Written by pnpm migrate only.';

comment on table router.schema_event is 'Everything the migrator ever did here. Append-only.';

comment on view router.schema_version is 'The current revision: always one row, number 0 (base) before the first.';
