-- The guardian's first tables: who is certified, who is at work, and who has earned what.
--
-- A ghost is named as it is in the gatekeeper's tokens (`sub`): plain text, bounded here so that no caller can grow an
-- index entry past what PostgreSQL takes.

-- migrate:up

-- A certificate says that an agent may work from `issued_at` until `expires_at`. A row is never changed but to revoke it,
-- and never deleted: a new certificate is a new row, and the one in force is the newest neither expired nor revoked.
--
-- `signature` is what the issuer signed, as it was handed out; it is checked at each use, so a row that somebody edits in
-- the database certifies nothing. `key_id` names the signing key, for the time when keys change. Both are null for
-- certificates that were taken over from files without a signature.
create table guardian.certificate (
  id bigint generated always as identity primary key,
  agent text not null check (char_length(agent) between 1 and 200),
  version integer not null default 1 check (version > 0),
  issued_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  key_id text check (char_length(key_id) between 1 and 200),
  signature text,
  revoked_at timestamptz,
  revoked_by text,
  revoked_reason text,
  check (expires_at > issued_at),
  check ((signature is null) = (key_id is null)),
  check (revoked_at is not null or (revoked_by is null and revoked_reason is null))
);

comment on table guardian.certificate is 'Certificates of agents; the newest neither expired nor revoked is in force.';

-- "Is this agent certified now?", asked for every session and every routed request. Revoked ones are not in the index.
create index certificate_in_force on guardian.certificate (agent, expires_at desc) where revoked_at is null;

-- A session is one piece of an agent's work. Its caller names it (`session_id`), and a name is used once: of two that
-- start the same session, at the same instant too, the unique index lets one through. It is active while `ended_at` is null;
-- `last_seen_at` moves with each heartbeat, and a session not seen for too long is ended as 'expired'.
create table guardian.session (
  id bigint generated always as identity primary key,
  session_id text not null unique check (char_length(session_id) between 1 and 200),
  agent text not null check (char_length(agent) between 1 and 200),
  certificate_id bigint references guardian.certificate (id),
  started_at timestamptz not null default clock_timestamp(),
  last_seen_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  end_reason text check (end_reason in ('completed', 'expired', 'revoked')),
  output_file text check (char_length(output_file) <= 4096),
  request_id text,
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  check (last_seen_at >= started_at),
  check (ended_at >= started_at),
  check ((ended_at is null) = (end_reason is null))
);

comment on table guardian.session is 'Work of agents: active while ended_at is null. Metadata never holds prompts.';

-- The statistics of one agent, newest first, and the list of sessions.
create index session_by_agent on guardian.session (agent, started_at desc);

-- The search for stale sessions reads active ones only, the longest silent first; this index stays as small as they are few.
create index session_active on guardian.session (last_seen_at) where ended_at is null;

-- Ending the sessions of a revoked certificate, and the foreign key's own check.
create index session_by_certificate on guardian.session (certificate_id) where certificate_id is not null;

-- A badge that a ghost has earned; it has each at most once. The unique index also answers "which has this ghost?".
create table guardian.agent_badges (
  id bigint generated always as identity primary key,
  ghost_id text not null check (char_length(ghost_id) between 1 and 200),
  badge_name text not null check (char_length(badge_name) between 1 and 100),
  granted_at timestamptz not null default clock_timestamp(),
  unique (ghost_id, badge_name)
);

comment on table guardian.agent_badges is 'Badges of ghosts, each at most once.';

-- Who has a given badge.
create index agent_badges_by_name on guardian.agent_badges (badge_name, ghost_id);

-- migrate:down

-- In the order of their references.
drop table guardian.agent_badges;
drop table guardian.session;
drop table guardian.certificate;

-- migrate:verify

select to_regclass('guardian.certificate') is not null;
select to_regclass('guardian.session') is not null;
select to_regclass('guardian.agent_badges') is not null;
