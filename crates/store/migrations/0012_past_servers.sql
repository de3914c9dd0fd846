-- What servers used that ran and were deleted. Columns beside `doc` are projections of it.
CREATE TABLE past_servers (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    project_id TEXT NOT NULL,
    ended_us BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX past_servers_ended ON past_servers (ended_us);
