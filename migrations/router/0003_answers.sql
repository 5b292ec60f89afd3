-- What became of a request, beside what was said: which tier and provider answered, how it ended, and what it cost.
--
-- Each message of a request has its row, the answer last; what is true of the whole request stands in each of them, so that a
-- row can be read alone. Rows from before have null everywhere here: nobody recorded it then.

-- migrate:up

-- `requested_model` is the name that the client gave: a shell, a ghost or `auto`; `shell_id` is the shell that answered, or that
-- was being asked when the request ended. `outcome`: the answer came whole (completed), the provider failed in the middle of it
-- (failed), or the client hung up (aborted). The tokens are the provider's own count, on the row of the answer only.
alter table router.history
  add column requested_model text check (char_length(requested_model) between 1 and 200),
  add column tier text check (tier in ('L1', 'L2', 'L3')),
  add column provider text check (char_length(provider) between 1 and 200),
  add column outcome text check (outcome in ('completed', 'failed', 'aborted')),
  add column finish_reason text check (char_length(finish_reason) between 1 and 50),
  add column prompt_tokens integer check (prompt_tokens >= 0),
  add column completion_tokens integer check (completion_tokens >= 0);

-- migrate:down

alter table router.history
  drop column completion_tokens,
  drop column prompt_tokens,
  drop column finish_reason,
  drop column outcome,
  drop column provider,
  drop column tier,
  drop column requested_model;

-- migrate:verify

select count(*) = 7 from information_schema.columns
where table_schema = 'router' and table_name = 'history'
  and column_name in
    ('requested_model', 'tier', 'provider', 'outcome', 'finish_reason', 'prompt_tokens', 'completion_tokens');
