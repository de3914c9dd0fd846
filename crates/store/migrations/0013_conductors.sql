-- The processes of a site. A row is one run of a process, its session: it is prolonged for as long as the process lives, and what
-- was found ended never lives again. Claims name their session and have no time of their own: with the session all of them end.
CREATE TABLE conductors (
    id {id},
    session TEXT NOT NULL UNIQUE,
    hostname TEXT NOT NULL,
    conductor_group TEXT NOT NULL,
    -- JSON lists of names.
    drivers TEXT NOT NULL,
    roles TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    seen_us BIGINT NOT NULL,
    until_us BIGINT NOT NULL,
    ended BIGINT NOT NULL DEFAULT 0
);
-- Two processes that live can't have one name, whatever the program does.
CREATE UNIQUE INDEX conductors_living ON conductors (hostname) WHERE ended = 0;

-- What one process of a site does for all of them, and the session that does it.
CREATE TABLE task_leases (
    name TEXT PRIMARY KEY,
    session TEXT NOT NULL
);

-- Whoever held a node before this is dead: the database was locked.
UPDATE nodes SET lease_holder = NULL;
ALTER TABLE nodes DROP COLUMN lease_until_us;
ALTER TABLE nodes ADD COLUMN lease_session TEXT;
CREATE INDEX nodes_lease ON nodes (lease_session) WHERE lease_session IS NOT NULL;

-- Under which claim it was done, and when it was written.
ALTER TABLE events ADD COLUMN conductor TEXT;
ALTER TABLE events ADD COLUMN epoch BIGINT;
ALTER TABLE events ADD COLUMN recorded_us BIGINT;

-- In which session it is on its way: with the session it is given up.
ALTER TABLE object_bodies ADD COLUMN session TEXT;

-- The addresses of each process on the networks that it serves by DHCP.
DROP TABLE network_own_addresses;
CREATE TABLE network_own_addresses (
    hostname TEXT NOT NULL,
    interface TEXT NOT NULL,
    address TEXT NOT NULL,
    PRIMARY KEY (hostname, interface)
);
