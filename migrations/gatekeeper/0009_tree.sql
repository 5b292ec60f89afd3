-- The tree of the audit trail: a Merkle tree (RFC 6962) over the events, in an order that is fixed once.
--
-- Each transaction that inserts rows into audit_log also queues their entries in audit_intake. One gatekeeper at a time integrates
-- them: it moves entries from the queue to the end of the tree. So a row gets its index moments after its transaction, and no writer waits
-- for another.
--
-- An entry has 49 bytes: the format (1), the id (16) and the digest (32) of an event. It has no content, so entries stay when their
-- event is gone.
--
-- The application needs select and insert on the new tables, delete on audit_intake, and update instead of insert on audit_tree;
-- missing_grants below asks for them.

-- migrate:up

-- The queue. A row names n events of one source with consecutive numbers; entries has n times 49 bytes, which do not compress. A row
-- may be queued twice (a replay, the search for rows that were never queued): it gets one index, because audit_run knows it.
create table gatekeeper.audit_intake (
  no bigint generated always as identity primary key,
  source uuid not null,
  first_seq bigint not null,
  n integer not null,
  entries bytea not null,
  at timestamptz not null default clock_timestamp(),
  constraint audit_intake_first_seq_check check (first_seq > 0),
  constraint audit_intake_entries_check check (n > 0 and octet_length(entries) = n * 49)
);
alter table gatekeeper.audit_intake alter column entries set storage external;
-- Each row is deleted soon after it was inserted, and looks into the queue pass over what is dead.
alter table gatekeeper.audit_intake set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- The state of the tree, one row, which only moves forward. edge has the hashes of the full subtrees in the size, from the largest to
-- the smallest (32 bytes each); partial has the entries after the last full bundle. An integrator locks the row until its COMMIT, which
-- keeps two of them apart.
create table gatekeeper.audit_tree (
  singleton boolean primary key default true check (singleton),
  generation integer not null default 1,
  size bigint not null default 0,
  root bytea not null default sha256(''),
  edge bytea not null default '',
  partial bytea not null default '',
  integrated_at timestamptz not null default clock_timestamp(),
  constraint audit_tree_generation_check check (generation > 0),
  constraint audit_tree_size_check check (size >= 0),
  constraint audit_tree_root_check check (octet_length(root) = 32),
  constraint audit_tree_edge_check check (octet_length(edge) % 32 = 0 and octet_length(edge) <= 63 * 32),
  constraint audit_tree_partial_check check (octet_length(partial) = (size % 256) * 49)
);

insert into gatekeeper.audit_tree default values;

-- The full bundles of 256 entries, each with the root of its subtree: bundle 0 has the leaves 0 to 255.
create table gatekeeper.audit_bundle (
  index bigint primary key,
  entries bytea not null,
  root bytea not null,
  constraint audit_bundle_index_check check (index >= 0),
  constraint audit_bundle_entries_check check (octet_length(entries) = 256 * 49),
  constraint audit_bundle_root_check check (octet_length(root) = 32)
);
alter table gatekeeper.audit_bundle alter column entries set storage external;

-- The roots of larger full subtrees: one of a level has 256^level leaves. Level 1 is the root of a bundle.
create table gatekeeper.audit_subtree (
  level smallint not null,
  index bigint not null,
  root bytea not null,
  primary key (level, index),
  constraint audit_subtree_level_check check (level between 2 and 7),
  constraint audit_subtree_index_check check (index >= 0),
  constraint audit_subtree_root_check check (octet_length(root) = 32)
);

-- Which events have which index: n events of a source from first_seq have the indexes from first_index. Runs of a source do not
-- overlap, because one integrator at a time adds them and leaves out what an earlier run has.
create table gatekeeper.audit_run (
  source uuid not null,
  first_seq bigint not null,
  n integer not null,
  first_index bigint not null unique,
  primary key (source, first_seq),
  constraint audit_run_check check (first_seq > 0 and n > 0 and first_index >= 0)
);

-- Signed checkpoints, as they were published.
create table gatekeeper.audit_checkpoint (
  generation integer not null,
  size bigint not null,
  root bytea not null,
  note text not null,
  at timestamptz not null default clock_timestamp(),
  primary key (generation, size),
  constraint audit_checkpoint_check check (generation > 0 and size >= 0 and octet_length(root) = 32)
);

-- Signatures of witnesses on a checkpoint.
create table gatekeeper.audit_cosignature (
  generation integer not null,
  size bigint not null,
  name text not null,
  key_id bytea not null,
  signature bytea not null,
  at timestamptz not null default clock_timestamp(),
  primary key (generation, size, name, key_id),
  foreign key (generation, size) references gatekeeper.audit_checkpoint (generation, size),
  constraint audit_cosignature_key_id_check check (octet_length(key_id) = 4)
);

create trigger audit_bundle_append_only before update or delete or truncate on gatekeeper.audit_bundle
  for each statement execute function gatekeeper.audit_refuse_change();
alter table gatekeeper.audit_bundle enable always trigger audit_bundle_append_only;

create trigger audit_subtree_append_only before update or delete or truncate on gatekeeper.audit_subtree
  for each statement execute function gatekeeper.audit_refuse_change();
alter table gatekeeper.audit_subtree enable always trigger audit_subtree_append_only;

create trigger audit_run_append_only before update or delete or truncate on gatekeeper.audit_run
  for each statement execute function gatekeeper.audit_refuse_change();
alter table gatekeeper.audit_run enable always trigger audit_run_append_only;

create trigger audit_checkpoint_append_only before update or delete or truncate on gatekeeper.audit_checkpoint
  for each statement execute function gatekeeper.audit_refuse_change();
alter table gatekeeper.audit_checkpoint enable always trigger audit_checkpoint_append_only;

create trigger audit_cosignature_append_only before update or delete or truncate on gatekeeper.audit_cosignature
  for each statement execute function gatekeeper.audit_refuse_change();
alter table gatekeeper.audit_cosignature enable always trigger audit_cosignature_append_only;

-- A state is never set back: its size and its generation never decrease, and a size has one root.
create function gatekeeper.audit_guard_tree() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if new.generation >= old.generation
    and new.size >= old.size
    and (new.size > old.size or (new.root, new.edge, new.partial) = (old.root, old.edge, old.partial))
  then
    return new;
  end if;
  raise exception '%.% only moves forward: update from size % to size % refused', tg_table_schema, tg_table_name, old.size, new.size
    using errcode = 'insufficient_privilege',
          hint = 'Leaves are appended to the tree, never changed or removed.';
end
$$;

create trigger audit_tree_forward before update on gatekeeper.audit_tree
  for each row execute function gatekeeper.audit_guard_tree();
alter table gatekeeper.audit_tree enable always trigger audit_tree_forward;

create trigger audit_tree_stays before insert or delete or truncate on gatekeeper.audit_tree
  for each statement execute function gatekeeper.audit_refuse_change();
alter table gatekeeper.audit_tree enable always trigger audit_tree_stays;

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
    (11, 'gatekeeper.audit_ingest_conflict', 'insert'),
    (12, 'gatekeeper.revocation', 'select'),
    (12, 'gatekeeper.revocation', 'insert'),
    (13, 'gatekeeper.service_key', 'select'),
    (13, 'gatekeeper.service_key', 'insert'),
    (13, 'gatekeeper.service_key', 'update'),
    (14, 'gatekeeper.audit_intake', 'select'),
    (14, 'gatekeeper.audit_intake', 'insert'),
    (14, 'gatekeeper.audit_intake', 'delete'),
    (15, 'gatekeeper.audit_tree', 'select'),
    (15, 'gatekeeper.audit_tree', 'update'),
    (16, 'gatekeeper.audit_bundle', 'select'),
    (16, 'gatekeeper.audit_bundle', 'insert'),
    (17, 'gatekeeper.audit_subtree', 'select'),
    (17, 'gatekeeper.audit_subtree', 'insert'),
    (18, 'gatekeeper.audit_run', 'select'),
    (18, 'gatekeeper.audit_run', 'insert'),
    (19, 'gatekeeper.audit_checkpoint', 'select'),
    (19, 'gatekeeper.audit_checkpoint', 'insert'),
    (20, 'gatekeeper.audit_cosignature', 'select'),
    (20, 'gatekeeper.audit_cosignature', 'insert')
  ) as needed (place, object, privilege)
  where not case
    when object like 'schema %' then has_schema_privilege(application, substr(object, 8), privilege)
    else has_table_privilege(application, object, privilege)
  end
  group by place, object
  order by place
$$;

-- migrate:down

-- The tree goes, and with it each checkpoint: a later upgrade begins another tree, which does not continue this one.
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
    (11, 'gatekeeper.audit_ingest_conflict', 'insert'),
    (12, 'gatekeeper.revocation', 'select'),
    (12, 'gatekeeper.revocation', 'insert'),
    (13, 'gatekeeper.service_key', 'select'),
    (13, 'gatekeeper.service_key', 'insert'),
    (13, 'gatekeeper.service_key', 'update')
  ) as needed (place, object, privilege)
  where not case
    when object like 'schema %' then has_schema_privilege(application, substr(object, 8), privilege)
    else has_table_privilege(application, object, privilege)
  end
  group by place, object
  order by place
$$;

drop table gatekeeper.audit_cosignature;
drop table gatekeeper.audit_checkpoint;
drop table gatekeeper.audit_run;
drop table gatekeeper.audit_subtree;
drop table gatekeeper.audit_bundle;
drop table gatekeeper.audit_tree;
drop table gatekeeper.audit_intake;
drop function gatekeeper.audit_guard_tree();

-- migrate:verify

select to_regclass('gatekeeper.audit_intake') is not null;
select count(*) = 1 from gatekeeper.audit_tree;

-- A tree that could be changed or cut proves nothing.
select count(*) = 7 from pg_trigger
where tgenabled = 'A' and not tgisinternal and tgrelid in (
  'gatekeeper.audit_tree'::regclass,
  'gatekeeper.audit_bundle'::regclass,
  'gatekeeper.audit_subtree'::regclass,
  'gatekeeper.audit_run'::regclass,
  'gatekeeper.audit_checkpoint'::regclass,
  'gatekeeper.audit_cosignature'::regclass
);
