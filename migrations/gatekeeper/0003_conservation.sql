-- What became of every event: counters that a restart does not reset, the replays of dead letters, and how far somebody has looked
-- for gaps. With them each source is balanced from durable state alone:
--
--   last number + refused = committed + pending + (dead_lettered - replayed) + quarantined + refused + shed + lost
--
-- where pending is what waits in the source's journal. A side that is short says that rows were removed, or never came.
--
-- The program of the revision before goes on working. It leaves the counters alone, which the guard notices: see `counted`.
--
-- The application needs two more privileges, select and insert on audit_dead_letter_replay, and update on the new columns of
-- audit_source; missing_grants below asks for them.

-- migrate:up

-- Each time that somebody tried to bring a dead letter into the trail, and what came of it.
--
--   replayed  its row was written from the original bytes
--   present   the table held that very row already, by a way that does not count
--   refused   the table holds another event under its id, or the bytes are no event
--   failed    the table refused the row once more
--
-- A foreign key would only repeat that letters are never removed. The first two settle a letter, and that happens once: the index says so, whoever replays at the same time. A row that the
-- drain could write after all, though it had put it among the dead letters before, is a replay too (by 'drain').
create table gatekeeper.audit_dead_letter_replay (
  no bigint generated always as identity primary key,
  event_id uuid not null,
  leaf_hash bytea not null,
  at timestamptz not null default clock_timestamp(),
  by text not null,
  outcome text not null,
  detail text,
  constraint audit_dead_letter_replay_by_check check (char_length(by) between 1 and 200),
  constraint audit_dead_letter_replay_outcome_check check (outcome in ('replayed', 'present', 'refused', 'failed'))
);

create unique index audit_dead_letter_replay_settled_idx on gatekeeper.audit_dead_letter_replay (event_id, leaf_hash)
  where outcome in ('replayed', 'present');
create index audit_dead_letter_replay_letter_idx on gatekeeper.audit_dead_letter_replay (event_id, leaf_hash, no);

create trigger audit_dead_letter_replay_append_only before update or delete or truncate on gatekeeper.audit_dead_letter_replay
  for each statement execute function gatekeeper.audit_refuse_change();
alter table gatekeeper.audit_dead_letter_replay enable always trigger audit_dead_letter_replay_append_only;

-- The gap detector asks which numbers of a source are among the dead letters.
create index audit_dead_letter_source_seq_idx on gatekeeper.audit_dead_letter (source, seq);

-- What was written before this revision, counted from the tables. One statement, hence one moment: the rows and the last
-- number of a source agree in it. It runs before audit_source is locked, since a long trail takes its time; a source that
-- went on writing meanwhile is marked below. No temporary table: whoever migrates may lack the right to make one.
create table gatekeeper.audit_tally as
select known.source, known.last_seq, known.last_at,
  coalesce(recorded.rows, 0) as committed, coalesce(letters.rows, 0) as dead_lettered, coalesce(letters.settled, 0) as replayed
from gatekeeper.audit_source as known
left join (
  select source, count(*) as rows from gatekeeper.audit_log group by source
) as recorded on recorded.source = known.source
left join (
  select letter.source, count(*) as rows, count(written.id) as settled
  from gatekeeper.audit_dead_letter as letter
  left join gatekeeper.audit_log as written on written.id = letter.event_id and written.leaf_hash = letter.leaf_hash
  group by letter.source
) as letters on letters.source = known.source;

-- Who it is: boot_id is the machine's boot, durability the mode in which it keeps its events.
--
-- seen_at is its heartbeat. committed and dead_lettered move in the transaction that writes the rows, by the rows that were
-- really inserted: they are exact though the answer to a COMMIT is lost and the rows are sent again. replayed counts dead letters
-- that are rows by now; they are in committed too. quarantined counts journal records that could not be read.
--
-- checked_seq is how far the gap detector has looked; lost is how many numbers up to there are nowhere, shed and quarantined
-- ones aside: a loss receipt in the trail names them. unsigned_after closes a source that ended without a word: whether it
-- gave numbers after that one is unknown, and a receipt says so.
--
-- counted is false once a program that does not know these columns wrote for the source.
alter table gatekeeper.audit_source
  add column boot_id text,
  add column durability text,
  add column seen_at timestamptz,
  add column committed bigint not null default 0,
  add column dead_lettered bigint not null default 0,
  add column replayed bigint not null default 0,
  add column quarantined bigint not null default 0,
  add column checked_seq bigint not null default 0,
  add column lost bigint not null default 0,
  add column unsigned_after bigint,
  add column counted boolean not null default true;

update gatekeeper.audit_source as known
set committed = tally.committed, dead_lettered = tally.dead_lettered, replayed = tally.replayed,
  counted = (known.last_seq, known.last_at) is not distinct from (tally.last_seq, tally.last_at)
from gatekeeper.audit_tally as tally
where tally.source = known.source;

-- First heard of after the count.
update gatekeeper.audit_source as known
set counted = false
where last_seq > 0 and not exists (select from gatekeeper.audit_tally as tally where tally.source = known.source);

insert into gatekeeper.audit_dead_letter_replay (event_id, leaf_hash, by, outcome, detail)
select letter.event_id, letter.leaf_hash, 'revision 0003', 'present', 'the trail held this row before replays were recorded'
from gatekeeper.audit_dead_letter as letter
join gatekeeper.audit_log as written on written.id = letter.event_id and written.leaf_hash = letter.leaf_hash;

drop table gatekeeper.audit_tally;

-- What a source has said of itself stands, as before; and counters only grow, a closed source stays closed at its number.
--
-- A last number that grows while nothing is counted was written by the program of the revision before: the source is marked,
-- for good, so that nobody takes its counters for a loss.
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

-- migrate:down

-- The counters and the record of the replays go; rows that were replayed stay in the trail, as their letters do.
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
    (8, 'gatekeeper.audit_source', 'update')
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

alter table gatekeeper.audit_source
  drop column boot_id,
  drop column durability,
  drop column seen_at,
  drop column committed,
  drop column dead_lettered,
  drop column replayed,
  drop column quarantined,
  drop column checked_seq,
  drop column lost,
  drop column unsigned_after,
  drop column counted;
drop index gatekeeper.audit_dead_letter_source_seq_idx;
drop table gatekeeper.audit_dead_letter_replay;

-- migrate:verify

select to_regclass('gatekeeper.audit_dead_letter_replay') is not null;
select to_regclass('gatekeeper.audit_dead_letter_replay_settled_idx') is not null;

-- A record of replays that can be changed proves nothing.
select count(*) = 1 from pg_trigger
where tgenabled = 'A' and not tgisinternal and tgrelid = 'gatekeeper.audit_dead_letter_replay'::regclass;

-- The guard knows the counters.
select pg_get_functiondef('gatekeeper.audit_guard_source()'::regprocedure) like '%new.checked_seq >= old.checked_seq%';
