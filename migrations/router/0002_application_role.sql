-- What the router's own role may do in this schema, so that it need not own it.
--
-- The role that migrates gives them: each `pnpm migrate` grants the group role gravitas_router, where the server has
-- it (docs/roles.sql makes it), what the function below says it lacks. A service whose role is another than the one that
-- migrates asks the function as itself, and does not start while an answer is left. A revision that adds a table says here,
-- with `create or replace`, what the service needs of it.

-- migrate:up

-- What was said is read and added, never changed.
create function router.missing_grants(application name default current_user) returns setof text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format('grant %s on %s to %I', string_agg(privilege, ', ' order by privilege), object, application)
  from (values
    (1, 'schema router', 'usage'),
    (2, 'router.schema_version', 'select'),
    (3, 'router.schema_history', 'select'),
    (4, 'router.schema_event', 'select'),
    (5, 'router.history', 'select'),
    (5, 'router.history', 'insert')
  ) as needed (place, object, privilege)
  where not case
    when object like 'schema %' then has_schema_privilege(application, substr(object, 8), privilege)
    else has_table_privilege(application, object, privilege)
  end
  group by place, object
  order by place
$$;

comment on function router.missing_grants(name) is 'The grants that a role lacks to run the router; none: it can.';

-- migrate:down

-- What was granted stays: it goes with the tables that it is about.
drop function router.missing_grants(name);

-- migrate:verify

select to_regprocedure('router.missing_grants(name)') is not null;
