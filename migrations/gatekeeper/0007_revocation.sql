-- Revocations: which ghosts, tokens, certificates and sessions were stopped, by which caller, when and why.
--
-- The table is the truth of a stop. Every gatekeeper reads the rows that it does not know each second, and passes them on to the
-- guardians and routers. It is append-only: a resume is a row of its own, and never takes back an earlier row.
--
-- A stop that a gatekeeper accepts while PostgreSQL is away comes later, under the id and the time that it had then.
--
-- The application needs select and insert; missing_grants below asks for them.

-- migrate:up

-- `subject` is the name of the ghost, the `jti` of the token, the id of the certificate or of the session. Only a ghost can be resumed:
-- a resumed ghost gets new tokens and certificates, and those from before the stop stay refused, by their `iat`.
--
-- `no` is given by the trigger below, from 1 without a gap. `at` is the gatekeeper's time of the request; `recorded_at` the server's time
-- of the row. `made_by` is the ghost that asked, or the account that ran the command.
create table gatekeeper.revocation (
  no bigint primary key,
  id uuid not null unique,
  kind text not null,
  subject text not null,
  effect text not null,
  at timestamptz not null,
  made_by text not null,
  reason text,
  recorded_at timestamptz not null default clock_timestamp(),
  constraint revocation_no_check check (no > 0),
  constraint revocation_kind_check check (kind in ('ghost', 'token', 'certificate', 'session')),
  constraint revocation_subject_check check (char_length(subject) between 1 and 255),
  constraint revocation_effect_check check (effect = 'stop' or (effect = 'resume' and kind = 'ghost')),
  constraint revocation_made_by_check check (char_length(made_by) between 1 and 100),
  constraint revocation_reason_check check (char_length(reason) <= 500)
);

comment on table gatekeeper.revocation is 'Stops and resumes, in the order in which they take effect; append-only.';

-- A reader asks for the rows after the last one that it knows. With a sequence, number 6 could be committed before number 5, and
-- the reader would never see number 5. So a row gets its number under a lock that is held until its commit. The number
-- that an insert gives is ignored.
create function gatekeeper.revocation_number() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('gatekeeper.revocation', 0));
  select coalesce(max(no), 0) + 1 into new.no from gatekeeper.revocation;
  return new;
end
$$;

create trigger revocation_number before insert on gatekeeper.revocation
  for each row execute function gatekeeper.revocation_number();
alter table gatekeeper.revocation enable always trigger revocation_number;

create trigger revocation_append_only before update or delete or truncate on gatekeeper.revocation
  for each statement execute function gatekeeper.audit_refuse_change();
alter table gatekeeper.revocation enable always trigger revocation_append_only;

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

-- migrate:down

-- Stops are lost: the tokens of a stopped ghost are accepted again. Certificates that were revoked stay revoked.
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
    (11, 'gatekeeper.audit_ingest_conflict', 'insert')
  ) as needed (place, object, privilege)
  where not case
    when object like 'schema %' then has_schema_privilege(application, substr(object, 8), privilege)
    else has_table_privilege(application, object, privilege)
  end
  group by place, object
  order by place
$$;

drop table gatekeeper.revocation;
drop function gatekeeper.revocation_number();

-- migrate:verify

-- Without its triggers the table has gaps, or can be changed.
select count(*) = 2 from pg_trigger
where tgenabled = 'A' and not tgisinternal and tgrelid = 'gatekeeper.revocation'::regclass;
