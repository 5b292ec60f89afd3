-- Events of other processes: whose each source is, and which events a client has sent already.
--
-- Two ways lead here from outside. A service in a process of its own (guardian, router) keeps the journal, the numbers and the
-- drain that the gatekeeper has, and writes through the gatekeeper: its sources have its identity. Any other client sends
-- batches to POST /audit/events: its numbers are given here, in the transaction that writes its rows.
--
-- The program of the revision before goes on working: it writes sources without an identity, as its own process.
--
-- The application needs select and insert on the two new tables; missing_grants below asks for them.

-- migrate:up

-- identity is the ghost that may write for the source: the subject of the token that registered it. Null is a process that
-- writes into the database itself, and nobody from outside may ever write for it. It is given with the row and never changes.
--
-- kind 'ingest' is the one source of a client without numbers of its own. It has no process, so it never ends: it is
-- neither signed off nor closed as silent.
alter table gatekeeper.audit_source
  add column identity text,
  add column kind text not null default 'process',
  add constraint audit_source_kind_check check (kind in ('process', 'ingest') and (kind = 'process' or identity is not null))
    not valid;
alter table gatekeeper.audit_source validate constraint audit_source_kind_check;

-- Two batches of a client that come at once agree on one source.
create unique index audit_source_ingest_identity_idx on gatekeeper.audit_source (identity) where kind = 'ingest';

-- The events that clients have sent, by the client's own key. Who sends it again gets audit_id once more; digest is the
-- SHA-256 of what it sent, so that another event under a used key is noticed. dead_lettered: audit_log refused it, and it is in
-- audit_dead_letter under that id. Rows are written in the transaction that writes the event.
create table gatekeeper.audit_ingest (
  identity text not null,
  client_id text not null,
  audit_id uuid not null,
  digest bytea not null,
  dead_lettered boolean not null default false,
  at timestamptz not null default clock_timestamp(),
  primary key (identity, client_id),
  constraint audit_ingest_client_id_check check (char_length(client_id) between 1 and 200),
  constraint audit_ingest_digest_check check (octet_length(digest) = 32)
);

-- Other events that came under a used key: each content once, however often it is sent. audit_id is its dead letter's.
create table gatekeeper.audit_ingest_conflict (
  identity text not null,
  client_id text not null,
  digest bytea not null,
  audit_id uuid not null,
  at timestamptz not null default clock_timestamp(),
  primary key (identity, client_id, digest)
);

-- Who could change a key could have an event taken for one that was recorded.
create trigger audit_ingest_append_only before update or delete or truncate on gatekeeper.audit_ingest
  for each statement execute function gatekeeper.audit_refuse_change();
alter table gatekeeper.audit_ingest enable always trigger audit_ingest_append_only;

create trigger audit_ingest_conflict_append_only before update or delete or truncate on gatekeeper.audit_ingest_conflict
  for each statement execute function gatekeeper.audit_refuse_change();
alter table gatekeeper.audit_ingest_conflict enable always trigger audit_ingest_conflict_append_only;

-- As before; and an identity and a kind are never changed, nor a source closed that has no process.
create or replace function gatekeeper.audit_guard_source() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if new.last_seq > old.last_seq and (new.committed, new.dead_lettered) = (old.committed, old.dead_lettered) then
    new.counted := false;
  end if;
  if new.source = old.source
    and new.last_seq >= old.last_seq
    and new.committed >= old.committed
    and new.dead_lettered >= old.dead_lettered
    and new.replayed >= old.replayed
    and new.quarantined >= old.quarantined
    and new.checked_seq >= old.checked_seq
    and new.lost >= old.lost
    and (old.counted or not new.counted)
    and (new.kind, new.identity) is not distinct from (old.kind, old.identity)
    and (new.kind = 'process' or (new.signed_off_seq is null and new.unsigned_after is null))
    and (old.unsigned_after is null or new.unsigned_after is not distinct from old.unsigned_after)
    and (old.seen_at is null or new.seen_at >= old.seen_at)
    and (
      old.started_at is null
      or (new.host, new.pid, new.started_at) is not distinct from (old.host, old.pid, old.started_at)
    )
    and (
      old.boot_id is null
      or (new.boot_id, new.durability) is not distinct from (old.boot_id, old.durability)
    )
    and (
      old.signed_off_seq is null
      or (new.signed_off_seq, new.signed_off_at, new.shed, new.refused, new.unwritten, new.in_doubt)
        is not distinct from
        (old.signed_off_seq, old.signed_off_at, old.shed, old.refused, old.unwritten, old.in_doubt)
    )
  then
    return new;
  end if;
  raise exception '%.% only moves forward: update of source % refused', tg_table_schema, tg_table_name, old.source
    using errcode = 'insufficient_privilege',
          hint = 'A last number and a count never decrease; an identity and an end are never changed.';
end
$$;

create or replace function gatekeeper.missing_grants(application name default current_user) returns setof text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format('grant %s on %s to %I', string_agg(privilege, ', ' order by privilege), object, application)
  from (values
    (1, 'schema gatekeeper', 'usage'),
    (2, 'gatekeeper.schema_version', 'select'),
    (3, 'gatekeeper.schema_history', 'select'),
    (4, 'gatekeeper.schema_event', 'select'),
    (5, 'gatekeeper.audit_trail', 'select'),
    (6, 'gatekeeper.audit_log', 'select'),
    (6, 'gatekeeper.audit_log', 'insert'),
    (7, 'gatekeeper.audit_dead_letter', 'select'),
    (7, 'gatekeeper.audit_dead_letter', 'insert'),
    (8, 'gatekeeper.audit_source', 'select'),
    (8, 'gatekeeper.audit_source', 'insert'),
    (8, 'gatekeeper.audit_source', 'update'),
    (9, 'gatekeeper.audit_dead_letter_replay', 'select'),
    (9, 'gatekeeper.audit_dead_letter_replay', 'insert'),
    (10, 'gatekeeper.audit_ingest', 'select'),
    (10, 'gatekeeper.audit_ingest', 'insert'),
    (11, 'gatekeeper.audit_ingest_conflict', 'select'),
    (11, 'gatekeeper.audit_ingest_conflict', 'insert')
  ) as needed (place, object, privilege)
  where not case
    when object like 'schema %' then has_schema_privilege(application, substr(object, 8), privilege)
    else has_table_privilege(application, object, privilege)
  end
  group by place, object
  order by place
$$;

-- migrate:down

-- The keys of clients go: a batch that is sent again afterwards is recorded again. Sources that were ingest's stay, as those of
-- processes that ended without a word.
create or replace function gatekeeper.missing_grants(application name default current_user) returns setof text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format('grant %s on %s to %I', string_agg(privilege, ', ' order by privilege), object, application)
  from (values
    (1, 'schema gatekeeper', 'usage'),
    (2, 'gatekeeper.schema_version', 'select'),
    (3, 'gatekeeper.schema_history', 'select'),
    (4, 'gatekeeper.schema_event', 'select'),
    (5, 'gatekeeper.audit_trail', 'select'),
    (6, 'gatekeeper.audit_log', 'select'),
    (6, 'gatekeeper.audit_log', 'insert'),
    (7, 'gatekeeper.audit_dead_letter', 'select'),
    (7, 'gatekeeper.audit_dead_letter', 'insert'),
    (8, 'gatekeeper.audit_source', 'select'),
    (8, 'gatekeeper.audit_source', 'insert'),
    (8, 'gatekeeper.audit_source', 'update'),
    (9, 'gatekeeper.audit_dead_letter_replay', 'select'),
    (9, 'gatekeeper.audit_dead_letter_replay', 'insert')
  ) as needed (place, object, privilege)
  where not case
    when object like 'schema %' then has_schema_privilege(application, substr(object, 8), privilege)
    else has_table_privilege(application, object, privilege)
  end
  group by place, object
  order by place
$$;

create or replace function gatekeeper.audit_guard_source() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if new.last_seq > old.last_seq and (new.committed, new.dead_lettered) = (old.committed, old.dead_lettered) then
    new.counted := false;
  end if;
  if new.source = old.source
    and new.last_seq >= old.last_seq
    and new.committed >= old.committed
    and new.dead_lettered >= old.dead_lettered
    and new.replayed >= old.replayed
    and new.quarantined >= old.quarantined
    and new.checked_seq >= old.checked_seq
    and new.lost >= old.lost
    and (old.counted or not new.counted)
    and (old.unsigned_after is null or new.unsigned_after is not distinct from old.unsigned_after)
    and (old.seen_at is null or new.seen_at >= old.seen_at)
    and (
      old.started_at is null
      or (new.host, new.pid, new.started_at) is not distinct from (old.host, old.pid, old.started_at)
    )
    and (
      old.boot_id is null
      or (new.boot_id, new.durability) is not distinct from (old.boot_id, old.durability)
    )
    and (
      old.signed_off_seq is null
      or (new.signed_off_seq, new.signed_off_at, new.shed, new.refused, new.unwritten, new.in_doubt)
        is not distinct from
        (old.signed_off_seq, old.signed_off_at, old.shed, old.refused, old.unwritten, old.in_doubt)
    )
  then
    return new;
  end if;
  raise exception '%.% only moves forward: update of source % refused', tg_table_schema, tg_table_name, old.source
    using errcode = 'insufficient_privilege',
          hint = 'A last number and a count never decrease; an identity and an end are never changed.';
end
$$;

drop table gatekeeper.audit_ingest_conflict;
drop table gatekeeper.audit_ingest;
drop index gatekeeper.audit_source_ingest_identity_idx;
alter table gatekeeper.audit_source
  drop constraint audit_source_kind_check,
  drop column kind,
  drop column identity;

-- migrate:verify

select to_regclass('gatekeeper.audit_source_ingest_identity_idx') is not null;

-- Without their guards the keys prove nothing.
select count(*) = 2 from pg_trigger
where tgenabled = 'A' and not tgisinternal and tgrelid in (
  'gatekeeper.audit_ingest'::regclass,
  'gatekeeper.audit_ingest_conflict'::regclass
);

-- The guard knows the identity.
select pg_get_functiondef('gatekeeper.audit_guard_source()'::regprocedure) like '%(new.kind, new.identity)%';
