-- Session names are each agent's own. They were one space for all agents: an agent that took a name kept another from it, and that one
-- was told since when the name was in use.
--
-- The program of the revision before cannot start sessions on this schema: its insert names the constraint that goes. Upgrade all
-- guardians of a database together. The table is locked against reads and writes while the index is built: about a second per million
-- sessions.

-- migrate:up phase:contract

-- The name comes first, so that the index also serves requests that do not say whose session they mean.
alter table guardian.session add constraint session_name_of_agent unique (session_id, agent);
alter table guardian.session drop constraint session_session_id_key;

-- migrate:down

-- Names that several agents use stay with the session that is active, else with the oldest; the others get their number appended, and
-- digits that no agent can foresee: it could take that name before. The lock keeps new sessions out until the names are unique.
lock table guardian.session in access exclusive mode;
update guardian.session set session_id = left(session_id, 170) || '#' || id || '.' || left(md5(random()::text), 8)
where id in (
  select id from (
    select id, row_number() over (partition by session_id order by ended_at is null desc, id) as place from guardian.session
  ) as named
  where place > 1
);
alter table guardian.session add constraint session_session_id_key unique (session_id);
alter table guardian.session drop constraint session_name_of_agent;

-- migrate:verify

select array_agg(attname::text order by place) = array['session_id', 'agent']
from pg_constraint, unnest(conkey) with ordinality as key (attnum, place)
join pg_attribute on pg_attribute.attrelid = 'guardian.session'::regclass and pg_attribute.attnum = key.attnum
where conrelid = 'guardian.session'::regclass and conname = 'session_name_of_agent' and contype = 'u';

select not exists (
  select from pg_constraint where conrelid = 'guardian.session'::regclass and conname = 'session_session_id_key'
);
