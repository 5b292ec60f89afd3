-- Keys of services: by which key a process proves that it is the guardian, the router, or a gatekeeper.
--
-- Each service keeps an Ed25519 key in its home and signs short assertions with it; the gatekeeper answers with a token. So services
-- in processes of their own no longer share the secret that signs the tokens of agents. A service may have several keys: a new one is
-- enrolled before the one in use is withdrawn. Gatekeepers enrol their own keys, so that each accepts the tokens that another issued.
--
-- The application needs select, insert and update on the new table; missing_grants below asks for them.

-- migrate:up

-- key_id is the key's thumbprint (RFC 7638), public_key the 32 bytes of the public key in base64url. A key that was withdrawn
-- stays withdrawn: its row shows since when and by whom.
create table gatekeeper.service_key (
  key_id text primary key,
  service text not null,
  public_key text not null,
  enrolled_at timestamptz not null default clock_timestamp(),
  enrolled_by text not null,
  withdrawn_at timestamptz,
  withdrawn_by text,
  constraint service_key_key_id_check check (key_id ~ '^[A-Za-z0-9_-]{43}$'),
  constraint service_key_service_check check (service ~ '^[a-z]+([+][a-z]+)*$' and char_length(service) <= 100),
  constraint service_key_public_key_check check (public_key ~ '^[A-Za-z0-9_-]{43}$'),
  constraint service_key_by_check check (char_length(enrolled_by) between 1 and 200 and char_length(withdrawn_by) between 1 and 200),
  constraint service_key_withdrawn_check check ((withdrawn_at is null) = (withdrawn_by is null))
);

create index service_key_service_idx on gatekeeper.service_key (service, enrolled_at);

-- A row says which key was valid when, so nothing of it changes but its withdrawal, once.
create function gatekeeper.service_key_guard() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if old.withdrawn_at is null
    and (new.key_id, new.service, new.public_key, new.enrolled_at, new.enrolled_by)
      is not distinct from
      (old.key_id, old.service, old.public_key, old.enrolled_at, old.enrolled_by)
  then
    return new;
  end if;
  raise exception 'gatekeeper.service_key only moves forward: update of key % refused', old.key_id
    using errcode = 'insufficient_privilege',
          hint = 'A key can be withdrawn once; enrol another key instead.';
end
$$;

create trigger service_key_forward before update on gatekeeper.service_key
  for each row execute function gatekeeper.service_key_guard();
alter table gatekeeper.service_key enable always trigger service_key_forward;

create trigger service_key_keep before delete or truncate on gatekeeper.service_key
  for each statement execute function gatekeeper.audit_refuse_change();
alter table gatekeeper.service_key enable always trigger service_key_keep;

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

-- migrate:down

-- The keys go: services in processes of their own have to be enrolled again.
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
    (12, 'gatekeeper.revocation', 'insert')
  ) as needed (place, object, privilege)
  where not case
    when object like 'schema %' then has_schema_privilege(application, substr(object, 8), privilege)
    else has_table_privilege(application, object, privilege)
  end
  group by place, object
  order by place
$$;

drop table gatekeeper.service_key;
drop function gatekeeper.service_key_guard();

-- migrate:verify

select to_regclass('gatekeeper.service_key') is not null;

-- A key that could be changed or removed proves nothing.
select count(*) = 2 from pg_trigger
where tgenabled = 'A' and not tgisinternal and tgrelid = 'gatekeeper.service_key'::regclass;
