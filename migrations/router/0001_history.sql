-- The router's first table: what was said, to whom, and which model answered.

-- migrate:up

-- One row per message, in the order of `id`. `ghost_id` is the agent, `shell_id` the model that answered (the one that
-- did, not the one that was asked for). `content` is null unless its storing is switched on: then the row still tells that
-- and when a message passed, and for whom. `request_id` is the same in the audit trail, in the guardian's session and here.
create table router.history (
  id bigint generated always as identity primary key,
  role text not null check (role in ('system', 'developer', 'user', 'assistant', 'tool')),
  content text,
  ghost_id text not null check (char_length(ghost_id) between 1 and 200),
  shell_id text check (char_length(shell_id) between 1 and 200),
  request_id text check (char_length(request_id) <= 200),
  timestamp timestamptz not null default clock_timestamp()
);

comment on table router.history is 'Messages that passed the router; content only where its storing is switched on.';

-- A ghost's conversation, newest first, page by page with `id` as the cursor.
create index history_by_ghost on router.history (ghost_id, id desc);

-- From a decision in the audit trail to what was said under it.
create index history_by_request on router.history (request_id) where request_id is not null;

-- Everything in a span of time, for retention too. Rows arrive in the order of time, so a block range index of a few pages
-- does what a tree of the table's size would.
create index history_by_time on router.history using brin (timestamp);

-- migrate:down

drop table router.history;

-- migrate:verify

select to_regclass('router.history') is not null;
