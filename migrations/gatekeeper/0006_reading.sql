-- Reading: the indexes that the first page of GET /audit/events lacked.
--
-- Measured on two million rows of four months, newest first. Of the filters alone only action had no index. A walk over the newest
-- rows found an action, which is fast only while the action is frequent. An action with fewer rows than a page was looked for in
-- all two million (0.8 s). The pairs that ask what was refused to a ghost, or on a resource, read all refused rows of the trail
-- (54 000 rows, 0.3 to 0.6 s) where few or none were of that ghost or resource. With these indexes each takes 0.2 ms at most.
--
-- audit_log_action_id_idx: the events of one action. It ends in id, so that one walk gives a page, also within a range of time.
--
-- audit_log_ghost_id_result_id_idx and audit_log_resource_result_id_idx: what was not plainly allowed to a ghost, and on a
-- resource. They are partial, as audit_log_result_id_idx is: an allowed event is not written to them.
--
-- What they cost. A COPY of 1 000 rows, of which 4 % were refused, takes 15 % more of the server's processor time with the index by
-- action, 2.5 % more with each of the others, and 18 % more with all three. A million rows take 38 MB in the first and
-- 2 MB in each of the others.
--
-- An index that is built in a transaction blocks writers of its table until the transaction ends. Rows are only written to the
-- partition of the month in which they were recorded. So the partitions are indexed one by one, oldest first, and writers wait
-- only while the present month's partition is indexed: 6.5 seconds for a million rows, on two cores that had other work. Rows
-- wait in the journals meanwhile, and answers do not wait. With the durability `commit`, and at POST /audit/events, requests may be
-- refused for that time.
--
-- To avoid that, build the indexes of each partition beforehand, while writers work. This revision then only attaches them:
--
--   create index concurrently audit_log_2026_01_action_id_idx on gatekeeper.audit_log_2026_01 (action, id);
--   create index concurrently audit_log_2026_01_ghost_id_result_id_idx on gatekeeper.audit_log_2026_01 (ghost_id, result, id)
--     where result <> 'ALLOWED';
--   create index concurrently audit_log_2026_01_resource_result_id_idx on gatekeeper.audit_log_2026_01 (resource, result, id)
--     where result <> 'ALLOWED';

-- migrate:up

do $$
declare
  partition name;
  -- One day late, for writers of events that were recorded before midnight.
  this_month name := 'audit_log_' || to_char((now() - interval '1 day') at time zone 'utc', 'YYYY_MM');
begin
  -- A maker of partitions waits: a partition that is made meanwhile would not have the indexes.
  perform pg_advisory_xact_lock(hashtextextended('gatekeeper.audit_make_month', 0));
  for partition in
    select child.relname
    from pg_inherits join pg_class as child on child.oid = inhrelid
    where inhparent = 'gatekeeper.audit_log'::regclass and not inhdetachpending
      and child.relnamespace = 'gatekeeper'::regnamespace
    order by child.relname
  loop
    -- A writer locks the trail before the partition, and holds that lock while it waits for the partition. Without this lock,
    -- the last statements of this revision would deadlock with it.
    if partition >= this_month then
      lock table only gatekeeper.audit_log in share mode;
    end if;
    execute format(
      'create index if not exists %I on gatekeeper.%I (action, id)',
      partition || '_action_id_idx',
      partition
    );
    execute format(
      'create index if not exists %I on gatekeeper.%I (ghost_id, result, id) where result <> ''ALLOWED''',
      partition || '_ghost_id_result_id_idx',
      partition
    );
    execute format(
      'create index if not exists %I on gatekeeper.%I (resource, result, id) where result <> ''ALLOWED''',
      partition || '_resource_result_id_idx',
      partition
    );
  end loop;
end
$$;

-- Each attaches the indexes of the partitions, because their definitions are the same.
create index audit_log_action_id_idx on gatekeeper.audit_log (action, id);
create index audit_log_ghost_id_result_id_idx on gatekeeper.audit_log (ghost_id, result, id) where result <> 'ALLOWED';
create index audit_log_resource_result_id_idx on gatekeeper.audit_log (resource, result, id) where result <> 'ALLOWED';

-- migrate:down

-- Drops the partitions' indexes too. The program of the revision before reads the same pages, only slower.
drop index gatekeeper.audit_log_action_id_idx;
drop index gatekeeper.audit_log_ghost_id_result_id_idx;
drop index gatekeeper.audit_log_resource_result_id_idx;

-- migrate:verify

-- Invalid as long as one partition's index is missing, or was left behind by a build that failed.
select count(*) = 3 and bool_and(indisvalid) from pg_catalog.pg_index
where indexrelid in (
  pg_catalog.to_regclass('gatekeeper.audit_log_action_id_idx'),
  pg_catalog.to_regclass('gatekeeper.audit_log_ghost_id_result_id_idx'),
  pg_catalog.to_regclass('gatekeeper.audit_log_resource_result_id_idx')
);
