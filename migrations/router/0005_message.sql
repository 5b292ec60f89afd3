-- The rest of what was said: where content is kept, calls of tools, further choices, thoughts and the kinds of parts are kept too.
--
-- `content` is the text alone. `message` is the whole message as its client or its shell sent it, in OpenAI's form, where it is more than
-- a role and a text. Images, sounds and files in it are replaced by their kind and size. An answer with several choices has a row for each.
--
-- Both columns are added without a default, so no row is rewritten and the lock is short. Rows from before have null in them.

-- migrate:up

-- `usage_estimated`: the provider told no usage, as in a stream that was cut, and the tokens are the router's estimate from the characters.
-- Null where there are no tokens.
alter table router.history
  add column message jsonb,
  add column usage_estimated boolean;

comment on column router.history.message is 'The whole message, where content is kept and the message is more than a text.';
comment on column router.history.usage_estimated is 'Whether the tokens are an estimate of the router.';

-- migrate:down

alter table router.history
  drop column usage_estimated,
  drop column message;

-- migrate:verify

select count(*) = 2 from information_schema.columns
where table_schema = 'router' and table_name = 'history' and column_name in ('message', 'usage_estimated');
