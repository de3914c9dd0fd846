-- Chassis, port groups, volume connectors and targets; ports learn their group and the columns that lists are sorted by.
CREATE TABLE chassis (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    description TEXT,
    created_us BIGINT NOT NULL,
    updated_us BIGINT,
    doc TEXT NOT NULL
);
-- A column that is there already can't become a foreign key everywhere: node.rs and Record::PARTS keep nodes and chassis true.
CREATE INDEX nodes_chassis ON nodes (chassis_uuid) WHERE chassis_uuid IS NOT NULL;

CREATE TABLE portgroups (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
    name TEXT UNIQUE,
    address TEXT UNIQUE,
    mode TEXT,
    standalone_ports_supported BIGINT NOT NULL,
    physical_network TEXT,
    category TEXT,
    dynamic_portgroup BIGINT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT,
    doc TEXT NOT NULL
);
CREATE INDEX portgroups_node ON portgroups (node_uuid);

-- Ports of an older database have nothing in the sorted columns until they next change; it shows in the order of lists only.
ALTER TABLE ports ADD COLUMN portgroup_uuid TEXT REFERENCES portgroups (uuid);
ALTER TABLE ports ADD COLUMN pxe_enabled BIGINT;
ALTER TABLE ports ADD COLUMN physical_network TEXT;
ALTER TABLE ports ADD COLUMN is_smartnic BIGINT;
ALTER TABLE ports ADD COLUMN vendor TEXT;
ALTER TABLE ports ADD COLUMN category TEXT;
ALTER TABLE ports ADD COLUMN available_for_dynamic_portgroup BIGINT;
CREATE INDEX ports_portgroup ON ports (portgroup_uuid) WHERE portgroup_uuid IS NOT NULL;

CREATE TABLE volume_connectors (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
    type TEXT NOT NULL,
    connector_id TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT,
    doc TEXT NOT NULL,
    UNIQUE (type, connector_id)
);
CREATE INDEX volume_connectors_node ON volume_connectors (node_uuid);

CREATE TABLE volume_targets (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
    volume_type TEXT NOT NULL,
    volume_id TEXT NOT NULL,
    boot_index BIGINT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT,
    doc TEXT NOT NULL,
    secrets {bytes},
    UNIQUE (node_uuid, boot_index)
);
