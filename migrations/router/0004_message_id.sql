-- Each message is written once, however often it is sent.
--
-- The router sends messages again when the database does not say in time that it has them. A server that merely stood still has
-- them twice then: those that waited at its door, and those that were sent after. The router gives each message an id before it
-- sends it, and what has an id that is there is not written again.
--
-- Rows from before have none. The index leaves them out, but is built by reading them, and nobody writes to the table meanwhile:
-- seconds for millions of rows, in which messages wait in the router. Who cannot have that builds it beforehand, while everybody
-- writes; this revision then only takes it over:
--
--   alter table router.history add column message_id uuid;
--   create unique index concurrently history_by_message on router.history (message_id) where message_id is not null;

-- migrate:up

alter table router.history add column if not exists message_id uuid;

create unique index if not exists history_by_message on router.history (message_id) where message_id is not null;

-- migrate:down

drop index router.history_by_message;

alter table router.history drop column message_id;

-- migrate:verify

select indisunique and indisvalid from pg_catalog.pg_index
where indexrelid = pg_catalog.to_regclass('router.history_by_message');
