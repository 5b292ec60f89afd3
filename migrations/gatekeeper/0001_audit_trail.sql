-- migrate:up

-- The audit trail: what was decided, for whom, when and why. Rows are only ever added.
--
-- Who may do what. These tables belong to the role that runs the migrations. The application needs no ownership: usage on
-- the schema; select and insert on audit_log and audit_dead_letter; select and insert on audit_source, and update on its columns
-- host, pid, started_at, last_seq, last_at, signed_off_seq, signed_off_at, shed, refused, unwritten and in_doubt (all but the
-- key); select on audit_trail. Partitions are made for it by functions that run as their owner.
--
-- What the triggers below are worth. They refuse changes by every role, the owner and superusers, and in replica mode
-- (session_replication_role) too. An owner, though, can disable or drop them, or drop a table: where the application is
-- the owner, they stop mistakes, not an attacker. A deployment that wants the trail safe from its own service gives migrations
-- a role of their own (MIGRATION_DATABASE_URL) and grants the application the above and no more.

-- Which trail this is. A local buffer names the trail that it belongs to, so that a copy, a restored or another database
-- never receives events that are not its own. Exactly one row, made here.
create table gatekeeper.audit_trail (
  singleton boolean primary key default true check (singleton),
  id uuid not null default gen_random_uuid(),
  created_at timestamptz not null default now()
);

insert into gatekeeper.audit_trail default values;

-- One row per event.
--
-- id is a UUIDv7 made when the event was recorded: its first 48 bits are that moment in milliseconds. The table is partitioned
-- by range of id, not by timestamp, because a partitioned table can only be unique over columns that contain its partition
-- key. So the primary key holds over the whole trail, a row that is sent twice is found, and a partition is still a month.
--
-- source and seq number the events of one life of one process from 1 without gaps: a number that is missing is an event
-- that was lost or shed (see audit_source). The clock may step back; seq tells the order.
--
-- marks name what was cut or cleaned before the event was stored ('resource:truncated'). The checks repeat the bounds that
-- the recorder keeps: a row that breaks one shows a fault in the recorder and becomes a dead letter.
--
-- leaf_hash is the SHA-256 of the event's canonical JSON (RFC 8785) over all other columns; jsonb does not keep the
-- original bytes, so the hash is stored with the row from its first day.
create table gatekeeper.audit_log (
  id uuid not null,
  timestamp timestamptz not null,
  source uuid not null,
  seq bigint not null,
  ghost_id text,
  shell_id text,
  action text,
  resource text,
  result text not null,
  reason text,
  request_id text,
  metadata jsonb not null,
  marks text[] not null,
  leaf_hash bytea not null,
  constraint audit_log_pkey primary key (id),
  constraint audit_log_seq_check check (seq > 0),
  constraint audit_log_ghost_id_check check (char_length(ghost_id) <= 100),
  constraint audit_log_shell_id_check check (char_length(shell_id) <= 100),
  constraint audit_log_action_check check (char_length(action) <= 100),
  constraint audit_log_resource_check check (char_length(resource) <= 255),
  constraint audit_log_result_check check (char_length(result) <= 20),
  constraint audit_log_reason_check check (char_length(reason) <= 1000),
  constraint audit_log_request_id_check check (char_length(request_id) <= 100),
  constraint audit_log_metadata_check check (jsonb_typeof(metadata) = 'object'),
  constraint audit_log_leaf_hash_check check (octet_length(leaf_hash) = 32)
) partition by range (id);

-- Reading is by page, newest first, hence by id; each index ends in id so that a filter and the order share one walk. There
-- are few, because every index costs each insert: what one ghost did, what happened to one resource, and everything that was
-- not plainly allowed (rare, so almost free). action has few values; a walk by time finds it.
create index audit_log_ghost_id_id_idx on gatekeeper.audit_log (ghost_id, id);
create index audit_log_resource_id_idx on gatekeeper.audit_log (resource, id);
create index audit_log_result_id_idx on gatekeeper.audit_log (result, id) where result <> 'ALLOWED';

-- One row per incarnation: one life of one process. last_seq moves in the transaction that writes the rows, so it is
-- never ahead of the table. An orderly end writes signed_off_seq, the last number given, with the counts of what has no row:
-- shed and unwritten events, and events in doubt, whose COMMIT was not answered before the end and which may have one. A dead
-- process without signed_off_seq has an unknown tail.
create table gatekeeper.audit_source (
  source uuid primary key,
  host text,
  pid integer,
  started_at timestamptz,
  last_seq bigint not null default 0,
  last_at timestamptz,
  signed_off_seq bigint,
  signed_off_at timestamptz,
  shed bigint,
  refused bigint,
  unwritten bigint,
  in_doubt bigint
);

-- Events that audit_log refused, with their original bytes (canonical JSON) and the reason. Nothing here expires. The same
-- event arrives once, however often it is sent: its hash covers its id, source and number.
create table gatekeeper.audit_dead_letter (
  event_id uuid not null,
  leaf_hash bytea not null,
  source uuid not null,
  seq bigint not null,
  body bytea not null,
  sqlstate text,
  reason text not null,
  attempts integer not null,
  at timestamptz not null default clock_timestamp(),
  primary key (event_id, leaf_hash)
);

-- The trail is append-only. Each trigger is "enable always": the others do not fire in replica mode. On a partitioned table a row
-- trigger is cloned to every partition, and dropped from one that is detached; a truncate trigger is not cloned. So each
-- partition gets both of its own when it is made, and keeps them whatever becomes of it.
create function gatekeeper.audit_refuse_change() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception '%.% is append-only: % refused', tg_table_schema, tg_table_name, lower(tg_op)
    using errcode = 'insufficient_privilege',
          hint = 'Rows of the audit trail are never changed or removed; record another event instead.';
end
$$;

create trigger audit_log_append_only before update or delete on gatekeeper.audit_log
  for each row execute function gatekeeper.audit_refuse_change();
alter table gatekeeper.audit_log enable always trigger audit_log_append_only;

create trigger audit_log_no_truncate before truncate on gatekeeper.audit_log
  for each statement execute function gatekeeper.audit_refuse_change();
alter table gatekeeper.audit_log enable always trigger audit_log_no_truncate;

create trigger audit_dead_letter_append_only before update or delete or truncate on gatekeeper.audit_dead_letter
  for each statement execute function gatekeeper.audit_refuse_change();
alter table gatekeeper.audit_dead_letter enable always trigger audit_dead_letter_append_only;

create trigger audit_trail_append_only before insert or update or delete or truncate on gatekeeper.audit_trail
  for each statement execute function gatekeeper.audit_refuse_change();
alter table gatekeeper.audit_trail enable always trigger audit_trail_append_only;

-- What an incarnation has said of itself stands: who it is, once that is known; its last number, which only grows; its
-- sign-off, once it is there. Saying the same again is harmless, so that an answer that was lost can be asked for again.
create function gatekeeper.audit_guard_source() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if new.source = old.source
    and new.last_seq >= old.last_seq
    and (
      old.started_at is null
      or (new.host, new.pid, new.started_at) is not distinct from (old.host, old.pid, old.started_at)
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
          hint = 'A last number never decreases; an identity and a sign-off are never changed.';
end
$$;

create trigger audit_source_forward before update on gatekeeper.audit_source
  for each row execute function gatekeeper.audit_guard_source();
alter table gatekeeper.audit_source enable always trigger audit_source_forward;

create trigger audit_source_stays before delete or truncate on gatekeeper.audit_source
  for each statement execute function gatekeeper.audit_refuse_change();
alter table gatekeeper.audit_source enable always trigger audit_source_stays;

-- The smallest uuid of a moment: the lower bound of every UUIDv7 made then or later.
create function gatekeeper.audit_uuid_floor(moment timestamptz) returns uuid
language sql
immutable strict
set search_path = pg_catalog, pg_temp
as $$
  select (lpad(to_hex(floor(extract(epoch from moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Makes the partition of a month (its first day). True when it stands afterwards, whoever made it.
--
-- The table is made first and attached then: attaching takes a lock on audit_log that neither readers nor writers conflict
-- with, where "create table ... partition of" would wait for every reader and make every writer wait behind it. Makers come
-- one after the other; the lock ends with the transaction, which should hold nothing else. A table of that name that is not
-- attached, or about to be detached, is somebody's doing and left alone: an error of the schema (42P16), never false, which
-- would say that the event is at fault. The wait for a lock is short; whoever asked asks again.
create function gatekeeper.audit_make_month(month_start date) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s'
as $$
declare
  partition text := 'audit_log_' || to_char(month_start, 'YYYY_MM');
  existing regclass;
begin
  perform pg_advisory_xact_lock(hashtextextended('gatekeeper.audit_make_month', 0));
  existing := to_regclass(format('gatekeeper.%I', partition));
  if existing is not null then
    if exists (
      select from pg_inherits
      where inhrelid = existing and inhparent = 'gatekeeper.audit_log'::regclass and not inhdetachpending
    ) then
      return true;
    end if;
    raise exception 'gatekeeper.% exists but is not a partition of gatekeeper.audit_log', partition
      using errcode = 'invalid_table_definition',
            hint = 'It was detached, or is being detached. Attach it again, or rename it so that another is made.';
  end if;
  execute format('create table gatekeeper.%I (like gatekeeper.audit_log including all)', partition);
  execute format(
    'create trigger audit_log_partition_append_only before update or delete on gatekeeper.%I '
    'for each row execute function gatekeeper.audit_refuse_change()',
    partition
  );
  execute format(
    'create trigger audit_log_partition_no_truncate before truncate on gatekeeper.%I '
    'for each statement execute function gatekeeper.audit_refuse_change()',
    partition
  );
  execute format(
    'alter table gatekeeper.%I enable always trigger audit_log_partition_append_only, '
    'enable always trigger audit_log_partition_no_truncate',
    partition
  );
  execute format(
    'alter table gatekeeper.audit_log attach partition gatekeeper.%I for values from (%L) to (%L)',
    partition,
    gatekeeper.audit_uuid_floor(month_start::timestamp at time zone 'utc'),
    gatekeeper.audit_uuid_floor((month_start + interval '1 month') at time zone 'utc')
  );
  return true;
end
$$;

revoke execute on function gatekeeper.audit_make_month(date) from public;

-- Makes this month's partition and the next two. Runs as its owner, so that the application needs to own nothing; it takes no
-- argument, so that there is nothing to abuse.
create function gatekeeper.audit_make_partitions_ahead() returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  this_month date := date_trunc('month', now() at time zone 'utc')::date;
begin
  for ahead in 0..2 loop
    perform gatekeeper.audit_make_month((this_month + make_interval(months => ahead))::date);
  end loop;
end
$$;

-- Makes the partition for an event that found none. True when it stands. An id from before what the trail keeps (400
-- days) or from the future (an hour allows for clocks that differ) is forged or broken: it gets none, and false.
create function gatekeeper.audit_make_partition(event uuid) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  millis bigint := ('x0000' || left(replace(event::text, '-', ''), 12))::bit(64)::bigint;
  moment timestamptz := to_timestamp(millis / 1000.0);
begin
  if moment < now() - interval '400 days' or moment > now() + interval '1 hour' then
    return false;
  end if;
  return gatekeeper.audit_make_month(date_trunc('month', moment at time zone 'utc')::date);
end
$$;

select gatekeeper.audit_make_partitions_ahead();

-- migrate:down

-- With audit_log go its partitions, their indexes and triggers.
drop table gatekeeper.audit_log;
drop table gatekeeper.audit_dead_letter;
drop table gatekeeper.audit_source;
drop table gatekeeper.audit_trail;
drop function gatekeeper.audit_make_partition(uuid);
drop function gatekeeper.audit_make_partitions_ahead();
drop function gatekeeper.audit_make_month(date);
drop function gatekeeper.audit_uuid_floor(timestamptz);
drop function gatekeeper.audit_guard_source();
drop function gatekeeper.audit_refuse_change();

-- migrate:verify

select to_regclass('gatekeeper.audit_trail') is not null;
select to_regclass('gatekeeper.audit_log') is not null;
select to_regclass('gatekeeper.audit_source') is not null;
select to_regclass('gatekeeper.audit_dead_letter') is not null;
select to_regprocedure('gatekeeper.audit_make_partitions_ahead()') is not null;
select to_regprocedure('gatekeeper.audit_make_partition(uuid)') is not null;

-- Without its guards, on in every mode, a trail is not append-only.
select count(*) = 6 from pg_trigger
where tgenabled = 'A' and not tgisinternal and tgrelid in (
  'gatekeeper.audit_trail'::regclass,
  'gatekeeper.audit_log'::regclass,
  'gatekeeper.audit_source'::regclass,
  'gatekeeper.audit_dead_letter'::regclass
);
