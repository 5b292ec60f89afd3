-- What the gatekeeper's own role may do in this schema, so that it need not own it.
--
-- The role that migrates gives them: each `pnpm migrate` grants the group role gravitas_gatekeeper, where the server has
-- it (docs/roles.sql makes it), what the function below says it lacks. A service whose role is another than the one that
-- migrates asks the function as itself, and does not start while an answer is left. A revision that adds a table says here,
-- with `create or replace`, what the service needs of it.

-- migrate:up

-- Rows of the trail are read and added, never changed: there is no update, delete or truncate here, on partitions not
-- even select (a query of audit_log needs none there). audit_source counts, so its rows move on. Partitions are made by
-- functions that run as their owner.
create function gatekeeper.missing_grants(application name default current_user) returns setof text
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

comment on function gatekeeper.missing_grants(name) is 'The grants that a role lacks to run the gatekeeper; none: it can.';

-- migrate:down

-- What was granted stays: it goes with the tables that it is about.
drop function gatekeeper.missing_grants(name);

-- migrate:verify

select to_regprocedure('gatekeeper.missing_grants(name)') is not null;
