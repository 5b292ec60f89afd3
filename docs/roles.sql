-- Least privilege: a role that owns and migrates the schemas, and a group role for each service that reaches its own schema
-- only. Run it once as an administrator, connected to the database of Gravitas, before the first migration. Running it again
-- changes nothing. It is plain SQL: psql -f docs/roles.sql, or any other client.
--
-- Then create the roles that connect, with passwords of your own:
--
--   alter role gravitas_owner login password '…';
--   create role gatekeeper_app login password '…' in role gravitas_gatekeeper;
--   create role guardian_app   login password '…' in role gravitas_guardian;
--   create role router_app     login password '…' in role gravitas_router;
--
-- and give Gravitas
--
--   MIGRATION_DATABASE_URL=postgresql://gravitas_owner:…@host/database
--   GATEKEEPER_DATABASE_URL=postgresql://gatekeeper_app:…@host/database      (the same for GUARDIAN_…, ROUTER_…)
--
-- Processes that never migrate (MIGRATE_ON_START=verify, with `pnpm migrate` as a separate job) get no
-- MIGRATION_DATABASE_URL, so they do not have the owner's password.
--
-- The revisions name the privileges of the groups (missing_grants in the files under migrations). `pnpm migrate` grants them
-- as the owner, and again when a later revision needs more.

do $$
declare
  name text;
begin
  foreach name in array array['gravitas_owner', 'gravitas_gatekeeper', 'gravitas_guardian', 'gravitas_router'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = name) then
      execute format('create role %I', name);
    end if;
  end loop;
end
$$;

-- The schemas are created here, so that gravitas_owner needs no right to create schemas. If another role has migrated this
-- database before: `reassign owned by <role> to gravitas_owner` first, as that role or an administrator.
create schema if not exists gatekeeper authorization gravitas_owner;
create schema if not exists guardian authorization gravitas_owner;
create schema if not exists router authorization gravitas_owner;

-- PostgreSQL 14 and older let every role create tables in public; these roles do not need to.
revoke create on schema public from public;
