-- Certificates by agent, newest first: the order in which they are asked for.
--
-- "Is this agent certified now?" takes the newest in force, and where there is none tells of the newest of all; without an index
-- of both that was a look at every certificate, for each question about an agent that has none.

-- migrate:up

-- Also for the list of one agent's, and their number.
create index certificate_by_agent on guardian.certificate (agent, issued_at desc, id desc);

-- In the order of the end of certificates, in which nobody asks for them.
drop index guardian.certificate_in_force;

-- migrate:down

create index certificate_in_force on guardian.certificate (agent, expires_at desc) where revoked_at is null;
drop index guardian.certificate_by_agent;

-- migrate:verify

select to_regclass('guardian.certificate_by_agent') is not null;
