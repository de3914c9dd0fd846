-- Allocations, and what operators write down for deployment, cleaning and inspection. Columns beside `doc` are projections of it.
CREATE TABLE allocations (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    name TEXT UNIQUE,
    -- One node has one allocation: two that race for a node can't both win, whatever the program does.
    node_uuid TEXT UNIQUE REFERENCES nodes (uuid) ON DELETE CASCADE,
    state TEXT NOT NULL,
    resource_class TEXT,
    owner TEXT,
    last_error TEXT,
    created_us BIGINT NOT NULL,
    updated_us BIGINT,
    doc TEXT NOT NULL
);
CREATE INDEX allocations_state ON allocations (state);

CREATE TABLE deploy_templates (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    created_us BIGINT NOT NULL,
    updated_us BIGINT,
    doc TEXT NOT NULL
);

CREATE TABLE runbooks (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    description TEXT,
    owner TEXT,
    public BIGINT NOT NULL,
    disable_ramdisk BIGINT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT,
    doc TEXT NOT NULL
);

CREATE TABLE inspection_rules (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    description TEXT,
    priority BIGINT NOT NULL,
    phase TEXT,
    sensitive BIGINT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT,
    doc TEXT NOT NULL
);
