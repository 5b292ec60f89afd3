-- All that happened in one request: its id is passed on from service to service, and every hop has a row under it.
--
-- The index is partial as the question is: the trail's own rows (loss receipts, for one) belong to no request. It ends in id, so
-- that one walk gives a page, newest first, also of a client that sends one id with all it asks. A partition that is made
-- later gets it from its parent.
--
-- It costs: request ids are random, so each row goes to another place of it, and the drain writes about seven tenths of the rows a
-- second that it writes without. That is still tens of thousands.
--
-- An index that is built in a transaction lets nobody write to its table until that ends. Rows are only ever written to the
-- partition of the month that they were recorded in, so the partitions come one by one, oldest first: writers wait while the present
-- month's is built, and for no other. Rows wait in the journals meanwhile, and answers do not; in the durability `commit`, and
-- at POST /audit/events, they may be refused for that time. About two seconds for a million rows.
--
-- Who cannot have that builds them beforehand, while everybody writes; this revision then only takes them over. For each
-- partition, by the name that it would get here:
--
--   create index concurrently audit_log_2026_01_request_id_id_idx on gatekeeper.audit_log_2026_01 (request_id, id)
--     where request_id is not null;

-- migrate:up

do $$
declare
  partition name;
  -- A day late, for those who write what they recorded before midnight.
  this_month name := 'audit_log_' || to_char((now() - interval '1 day') at time zone 'utc', 'YYYY_MM');
begin
  -- Whoever makes a partition waits, as for another maker: one that is made meanwhile would not have the index.
  perform pg_advisory_xact_lock(hashtextextended('gatekeeper.audit_make_month', 0));
  for partition in
    select child.relname
    from pg_inherits join pg_class as child on child.oid = inhrelid
    where inhparent = 'gatekeeper.audit_log'::regclass and not inhdetachpending
      and child.relnamespace = 'gatekeeper'::regnamespace
    order by child.relname
  loop
    -- Whoever writes has locked the trail before the partition, and would hold it while waiting for the latter: a deadlock with the
    -- last statement of this revision.
    if partition >= this_month then
      lock table only gatekeeper.audit_log in share mode;
    end if;
    execute format(
      'create index if not exists %I on gatekeeper.%I (request_id, id) where request_id is not null',
      partition || '_request_id_id_idx',
      partition
    );
  end loop;
end
$$;

-- Takes those of the partitions over, since they are alike.
create index audit_log_request_id_id_idx on gatekeeper.audit_log (request_id, id) where request_id is not null;

-- migrate:down

-- With it go those of the partitions. The program of the revision before does not ask by request.
drop index gatekeeper.audit_log_request_id_id_idx;

-- migrate:verify

-- Invalid as long as one partition's is missing, or was left behind by a build that failed.
select indisvalid from pg_catalog.pg_index
where indexrelid = pg_catalog.to_regclass('gatekeeper.audit_log_request_id_id_idx');
