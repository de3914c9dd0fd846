-- The compute service but for its servers. Columns beside `doc` are projections of it.
CREATE TABLE flavors (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    flavor_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    doc TEXT NOT NULL
);

CREATE TABLE keypairs (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    user_id TEXT NOT NULL,
    doc TEXT NOT NULL,
    UNIQUE (name, user_id)
);
CREATE INDEX keypairs_user ON keypairs (user_id);

-- Limits that were set: of a project, or of all that have none of their own.
CREATE TABLE compute_quotas (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    holder TEXT NOT NULL UNIQUE,
    doc TEXT NOT NULL
);

CREATE TABLE server_groups (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX server_groups_project ON server_groups (project_id);

CREATE TABLE aggregates (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    number BIGINT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    doc TEXT NOT NULL
);
