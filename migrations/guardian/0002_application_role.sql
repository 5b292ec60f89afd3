-- What the guardian's own role may do in this schema, so that it need not own it.
--
-- The role that migrates gives them: each `pnpm migrate` grants the group role gravitas_guardian, where the server has
-- it (docs/roles.sql makes it), what the function below says it lacks. A service whose role is another than the one that
-- migrates asks the function as itself, and does not start while an answer is left. A revision that adds a table says here,
-- with `create or replace`, what the service needs of it.

-- migrate:up

-- Certificates are revoked and sessions end, so their rows are updated; nothing is ever deleted.
create function guardian.missing_grants(application name default current_user) returns setof text
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
    (7, 'guardian.agent_badges', 'insert')
  ) as needed (place, object, privilege)
  where not case
    when object like 'schema %' then has_schema_privilege(application, substr(object, 8), privilege)
    else has_table_privilege(application, object, privilege)
  end
  group by place, object
  order by place
$$;

comment on function guardian.missing_grants(name) is 'The grants that a role lacks to run the guardian; none: it can.';

-- migrate:down

-- What was granted stays: it goes with the tables that it is about.
drop function guardian.missing_grants(name);

-- migrate:verify

select to_regprocedure('guardian.missing_grants(name)') is not null;
