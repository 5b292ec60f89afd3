-- Least privilege: a role that owns the schemas and migrates them, and a group role per service that can reach that
-- service's schema only. Run it once as an administrator, connected to the database of Gravitas, before the first migration;
-- running it again changes nothing. It is plain SQL: psql -f docs/roles.sql, or any other client.
--
-- Afterwards make the roles that connect, with passwords of your own:
--
--   alter role gravitas_owner login password '…';
--   create role gatekeeper_app login password '…' in role gravitas_gatekeeper;
--   create role guardian_app   login password '…' in role gravitas_guardian;
--   create role router_app     login password '…' in role gravitas_router;
--
-- and give Gravitas
--
--   MIGRATION_DATABASE_URL=postgresql://gravitas_owner:…@host/database
--   GATEKEEPER_DATABASE_URL=postgresql://gatekeeper_app:…@host/database      (GUARDIAN_…, ROUTER_… alike)
--
-- Processes that never migrate (MIGRATE_ON_START=verify, with `pnpm migrate` as a job of its own) get no
-- MIGRATION_DATABASE_URL at all: the owner's password is then nowhere near them.
--
-- What the groups may do in their schemas is not said here but in the revisions themselves (missing_grants in
-- the revisions under migrations): `pnpm migrate` grants it as the owner, and again when a later revision asks for more.

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

-- Their owner makes them here, so that gravitas_owner needs no right to make schemas. A database in which another role has
-- migrated before: as that role or an administrator, `reassign owned by <role> to gravitas_owner` first.
create schema if not exists gatekeeper authorization gravitas_owner;
create schema if not exists guardian authorization gravitas_owner;
create schema if not exists router authorization gravitas_owner;

-- PostgreSQL 14 and older let everyone make tables in public; nobody here needs to.
revoke create on schema public from public;
