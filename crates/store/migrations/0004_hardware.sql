-- What is known of a node's hardware beside its document, and the history that operators are shown.
CREATE TABLE bios_settings (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
    name TEXT NOT NULL,
    doc TEXT NOT NULL,
    UNIQUE (node_uuid, name)
);

CREATE TABLE firmware_components (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
    component TEXT NOT NULL,
    doc TEXT NOT NULL,
    UNIQUE (node_uuid, component)
);

-- `user` is a reserved word, hence `user_id`.
CREATE TABLE node_history (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
    conductor TEXT NOT NULL,
    event_type TEXT NOT NULL,
    severity TEXT NOT NULL,
    user_id TEXT,
    project TEXT,
    state TEXT NOT NULL,
    target_provision_state TEXT,
    created_us BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX node_history_node ON node_history (node_uuid, id);
