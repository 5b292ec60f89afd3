-- Certificates that can be told apart from copies, sessions whose start was taken back, and badges that can be taken away.
--
-- The program of the revision before goes on working: it wrote none of these rows.

-- migrate:up

-- The identity that the signature covers (`jti` of RFC 7519), and by which others name the certificate. It is unique, so a revoked
-- certificate cannot come back as a copy of its row. Null for certificates from before this revision, which certify nothing.
alter table guardian.certificate add column jti uuid unique;

-- "A row is never changed but to revoke it, and never deleted": whoever may update the table could otherwise take a revocation
-- back, which no signature would show.
create function guardian.certificate_refuse_change() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'UPDATE' then
    if old.revoked_at is null
      and new.revoked_at is not null
      and to_jsonb(new) - array['revoked_at', 'revoked_by', 'revoked_reason']
        = to_jsonb(old) - array['revoked_at', 'revoked_by', 'revoked_reason']
    then
      return new;
    end if;
  end if;
  raise exception '%.% is only added to and revoked, once: % refused', tg_table_schema, tg_table_name, lower(tg_op)
    using errcode = 'insufficient_privilege',
          hint = 'Issue another certificate instead.';
end
$$;

create trigger certificate_only_revoked before update or delete on guardian.certificate
  for each row execute function guardian.certificate_refuse_change();
create trigger certificate_no_truncate before truncate on guardian.certificate
  for each statement execute function guardian.certificate_refuse_change();
alter table guardian.certificate enable always trigger certificate_only_revoked;
alter table guardian.certificate enable always trigger certificate_no_truncate;

-- 'withdrawn': the start was never answered, because the audit trail could not take it. Its name may be used again.
alter table guardian.session drop constraint session_end_reason_check;
alter table guardian.session add constraint session_end_reason_check
  check (end_reason in ('completed', 'expired', 'revoked', 'withdrawn'));

-- A badge is taken away by removing its row: that it was there is in the audit trail.
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

-- migrate:down

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
    (7, 'guardian.agent_badges', 'insert')
  ) as needed (place, object, privilege)
  where not case
    when object like 'schema %' then has_schema_privilege(application, substr(object, 8), privilege)
    else has_table_privilege(application, object, privilege)
  end
  group by place, object
  order by place
$$;

-- The older constraint knows no withdrawn starts; the nearest that it knows is that they were ended from outside.
update guardian.session set end_reason = 'revoked' where end_reason = 'withdrawn';
alter table guardian.session drop constraint session_end_reason_check;
alter table guardian.session add constraint session_end_reason_check
  check (end_reason in ('completed', 'expired', 'revoked'));

drop trigger certificate_no_truncate on guardian.certificate;
drop trigger certificate_only_revoked on guardian.certificate;
drop function guardian.certificate_refuse_change();
alter table guardian.certificate drop column jti;

-- migrate:verify

select count(*) = 2 from pg_trigger
where tgenabled = 'A' and not tgisinternal and tgrelid = 'guardian.certificate'::regclass;

select exists (
  select from pg_attribute where attrelid = 'guardian.certificate'::regclass and attname = 'jti' and not attisdropped
);

select pg_get_functiondef('guardian.missing_grants(name)'::regprocedure) like '%delete%';
