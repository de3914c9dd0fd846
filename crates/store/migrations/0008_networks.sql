-- The network service. Columns beside `doc` are projections of it.
CREATE TABLE networks (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    -- Seen by every project: shared or external.
    public BIGINT NOT NULL,
    network_type TEXT NOT NULL,
    physical_network TEXT NOT NULL,
    -- The VLAN; 0: the physical network as it is. Two networks on one wire would be one.
    segment BIGINT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL,
    doc TEXT NOT NULL,
    UNIQUE (physical_network, segment)
);
CREATE INDEX networks_owner ON networks (owner);

CREATE TABLE subnets (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    network_uuid TEXT NOT NULL REFERENCES networks (uuid) ON DELETE CASCADE,
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    public BIGINT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX subnets_network ON subnets (network_uuid);
CREATE INDEX subnets_owner ON subnets (owner);

CREATE TABLE network_ports (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    network_uuid TEXT NOT NULL REFERENCES networks (uuid),
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    network_owner TEXT NOT NULL,
    mac_address TEXT NOT NULL,
    device_id TEXT NOT NULL,
    device_owner TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL,
    doc TEXT NOT NULL,
    UNIQUE (network_uuid, mac_address)
);
CREATE INDEX network_ports_owner ON network_ports (owner);
CREATE INDEX network_ports_network_owner ON network_ports (network_owner);
CREATE INDEX network_ports_device ON network_ports (device_id);
CREATE INDEX network_ports_mac_address ON network_ports (mac_address);

-- Who has which address. Whatever the program does, no address of a network is two ports'.
CREATE TABLE network_addresses (
    network_uuid TEXT NOT NULL,
    address TEXT NOT NULL,
    subnet_uuid TEXT NOT NULL REFERENCES subnets (uuid),
    port_uuid TEXT NOT NULL REFERENCES network_ports (uuid) ON DELETE CASCADE,
    PRIMARY KEY (network_uuid, address)
);
CREATE INDEX network_addresses_subnet ON network_addresses (subnet_uuid);
CREATE INDEX network_addresses_port ON network_addresses (port_uuid);
CREATE INDEX network_addresses_address ON network_addresses (address);

-- The addresses of this process on the networks that it serves by DHCP.
CREATE TABLE network_own_addresses (
    interface TEXT PRIMARY KEY,
    address TEXT NOT NULL
);

-- The rules of a group are in its document.
CREATE TABLE security_groups (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    -- The owner, for the group that each project has once; else none.
    default_of TEXT UNIQUE,
    rules BIGINT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX security_groups_owner ON security_groups (owner);

CREATE TABLE network_quotas (
    project_id TEXT NOT NULL,
    resource TEXT NOT NULL,
    most BIGINT NOT NULL,
    PRIMARY KEY (project_id, resource)
);
