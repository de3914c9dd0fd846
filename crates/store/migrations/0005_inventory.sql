-- What the last inspection of a node found, as JSON.
CREATE TABLE node_inventory (
    node_uuid TEXT PRIMARY KEY REFERENCES nodes (uuid) ON DELETE CASCADE,
    inventory TEXT NOT NULL,
    plugin_data TEXT NOT NULL
);

-- What a ramdisk has sent and nobody has looked at yet.
CREATE TABLE node_findings (
    node_uuid TEXT PRIMARY KEY REFERENCES nodes (uuid) ON DELETE CASCADE,
    inventory TEXT NOT NULL,
    plugin_data TEXT NOT NULL
);
