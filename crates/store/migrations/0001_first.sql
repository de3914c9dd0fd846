-- Columns beside `doc` are projections of it, written by one function (node.rs), for filters, uniqueness and claims.
-- {id} is the dialect's self-numbering key. Times are microseconds since 1970, UTC. Booleans are 0 and 1.
CREATE TABLE nodes (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    name TEXT UNIQUE,
    instance_uuid TEXT UNIQUE,
    provision_state TEXT NOT NULL,
    power_state TEXT,
    driver TEXT NOT NULL,
    maintenance BIGINT NOT NULL,
    retired BIGINT NOT NULL,
    fault TEXT,
    resource_class TEXT,
    conductor_group TEXT NOT NULL,
    chassis_uuid TEXT,
    owner TEXT,
    lessee TEXT,
    shard TEXT,
    parent_node TEXT,
    description TEXT,
    instance_name TEXT,
    created_us BIGINT NOT NULL,
    updated_us BIGINT,
    provision_updated_us BIGINT,
    doc TEXT NOT NULL,
    secrets {bytes},
    due_us BIGINT,
    lease_holder TEXT,
    lease_epoch BIGINT NOT NULL DEFAULT 0,
    lease_until_us BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX nodes_due ON nodes (due_us) WHERE due_us IS NOT NULL;
CREATE INDEX nodes_provision_state ON nodes (provision_state);

CREATE TABLE ports (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
    address TEXT NOT NULL UNIQUE,
    name TEXT UNIQUE,
    description TEXT,
    created_us BIGINT NOT NULL,
    updated_us BIGINT,
    doc TEXT NOT NULL
);
CREATE INDEX ports_node ON ports (node_uuid);

CREATE TABLE config_drives (
    node_uuid TEXT PRIMARY KEY REFERENCES nodes (uuid) ON DELETE CASCADE,
    sealed {bytes} NOT NULL
);

CREATE TABLE events (
    id {id},
    node_uuid TEXT,
    at_us BIGINT NOT NULL,
    duration_us BIGINT,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    ok BIGINT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX events_node ON events (node_uuid, id);

CREATE TABLE dhcp_leases (
    mac TEXT PRIMARY KEY,
    address TEXT NOT NULL UNIQUE,
    updated_us BIGINT NOT NULL
);
