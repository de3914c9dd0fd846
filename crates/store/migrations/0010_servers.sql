-- Servers, what was done with them, and what of them is secret. Columns beside `doc` are projections of it, but for `due_us` and
-- `nudges`: those are the reconciler's alone, and what changes a server's node sets them in the same transaction.
CREATE TABLE servers (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    hostname TEXT NOT NULL,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    vm_state TEXT NOT NULL,
    task_state TEXT,
    status TEXT NOT NULL,
    flavor_id TEXT NOT NULL,
    image_id TEXT,
    key_name TEXT,
    availability_zone TEXT,
    host TEXT,
    -- One node has one server: two that race for a node can't both win, whatever the program does.
    node_uuid TEXT UNIQUE,
    locked BIGINT NOT NULL,
    vcpus BIGINT NOT NULL,
    ram_mb BIGINT NOT NULL,
    reservation_id TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT,
    launched_us BIGINT,
    doc TEXT NOT NULL,
    due_us BIGINT,
    nudges BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX servers_project ON servers (project_id);
CREATE INDEX servers_due ON servers (due_us) WHERE due_us IS NOT NULL;

CREATE TABLE server_secrets (
    server_uuid TEXT PRIMARY KEY REFERENCES servers (uuid) ON DELETE CASCADE,
    sealed {bytes} NOT NULL
);

CREATE TABLE server_actions (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    server_uuid TEXT NOT NULL REFERENCES servers (uuid) ON DELETE CASCADE,
    request_id TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX server_actions_server ON server_actions (server_uuid);

-- What servers without a resource class are matched by. Nodes of an older database have nothing here until they next change; those
-- are looked at whole.
ALTER TABLE nodes ADD COLUMN cpus BIGINT;
ALTER TABLE nodes ADD COLUMN memory_mb BIGINT;
ALTER TABLE nodes ADD COLUMN local_gb BIGINT;
