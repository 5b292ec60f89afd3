-- Sessions that ended long ago are removed, by GUARDIAN_SESSION_RETENTION. The table grew with each chat of each agent, for ever.
--
-- The audit trail keeps the start and the end of each of them. Their number and their durations stay in the statistics.
--
-- The program of the revision before goes on working. Its statistics do not count the sessions that were removed.

-- migrate:up

-- The search for the sessions that ended first. Active ones are not in the index. Writers of sessions wait while it is built: about a
-- second per million sessions. To avoid that, build it first, while sessions are written. This revision then keeps it:
--
--   create index concurrently session_ended on guardian.session (ended_at) where ended_at is not null;
--
-- A build that failed leaves an index that is not valid, and this revision fails. Drop that index and build it again.
create index if not exists session_ended on guardian.session (ended_at) where ended_at is not null;

-- Sums of the completed sessions of an agent that were removed: a row per agent.
create table guardian.removed_sessions (
  agent text primary key,
  completed bigint not null,
  duration interval not null,
  constraint removed_sessions_agent_check check (char_length(agent) between 1 and 200),
  constraint removed_sessions_completed_check check (completed >= 0)
);

comment on table guardian.removed_sessions is 'Sums of the completed sessions that were removed, for the statistics of their agents.';

create or replace function guardian.missing_grants(application name default current_user) returns setof text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format('grant %s on %s to %I', string_agg(privilege, ', ' order by privilege), object, application)
  from (values
    (1, 'schema guardian', 'usage'),
    (2, 'guardian.schema_version', 'select'),
    (3, 'guardian.schema_history', 'select'),
    (4, 'guardian.schema_event', 'select'),
    (5, 'guardian.certificate', 'select'),
    (5, 'guardian.certificate', 'insert'),
    (5, 'guardian.certificate', 'update'),
    (6, 'guardian.session', 'select'),
    (6, 'guardian.session', 'insert'),
    (6, 'guardian.session', 'update'),
    (6, 'guardian.session', 'delete'),
    (7, 'guardian.agent_badges', 'select'),
    (7, 'guardian.agent_badges', 'insert'),
    (7, 'guardian.agent_badges', 'delete'),
    (8, 'guardian.removed_sessions', 'select'),
    (8, 'guardian.removed_sessions', 'insert'),
    (8, 'guardian.removed_sessions', 'update')
  ) as needed (place, object, privilege)
  where not case
    when object like 'schema %' then has_schema_privilege(application, substr(object, 8), privilege)
    else has_table_privilege(application, object, privilege)
  end
  group by place, object
  order by place
$$;

-- migrate:down

-- The sums go: the statistics then count the sessions that are left.
create or replace function guardian.missing_grants(application name default current_user) returns setof text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format('grant %s on %s to %I', string_agg(privilege, ', ' order by privilege), object, application)
  from (values
    (1, 'schema guardian', 'usage'),
    (2, 'guardian.schema_version', 'select'),
    (3, 'guardian.schema_history', 'select'),
    (4, 'guardian.schema_event', 'select'),
    (5, 'guardian.certificate', 'select'),
    (5, 'guardian.certificate', 'insert'),
    (5, 'guardian.certificate', 'update'),
    (6, 'guardian.session', 'select'),
    (6, 'guardian.session', 'insert'),
    (6, 'guardian.session', 'update'),
    (7, 'guardian.agent_badges', 'select'),
    (7, 'guardian.agent_badges', 'insert'),
    (7, 'guardian.agent_badges', 'delete')
  ) as needed (place, object, privilege)
  where not case
    when object like 'schema %' then has_schema_privilege(application, substr(object, 8), privilege)
    else has_table_privilege(application, object, privilege)
  end
  group by place, object
  order by place
$$;

drop table guardian.removed_sessions;
drop index guardian.session_ended;

-- migrate:verify

select indisvalid from pg_catalog.pg_index where indexrelid = pg_catalog.to_regclass('guardian.session_ended');
select to_regclass('guardian.removed_sessions') is not null;
select pg_get_functiondef('guardian.missing_grants(name)'::regprocedure) like '%removed_sessions%';
