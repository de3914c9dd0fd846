-- The object store. Names are bytes, so that both databases put them in the order of their bytes.
CREATE TABLE object_accounts (
    id {id},
    project TEXT NOT NULL UNIQUE,
    metadata TEXT NOT NULL,
    sealed {bytes},
    created_us BIGINT NOT NULL
);

CREATE TABLE object_containers (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    project TEXT NOT NULL,
    name {bytes} NOT NULL,
    object_count BIGINT NOT NULL,
    bytes_used BIGINT NOT NULL,
    sealed {bytes},
    doc TEXT NOT NULL,
    UNIQUE (project, name)
);

CREATE TABLE objects (
    id {id},
    container_uuid TEXT NOT NULL REFERENCES object_containers (uuid) ON DELETE CASCADE,
    name {bytes} NOT NULL,
    body TEXT,
    delete_us BIGINT,
    doc TEXT NOT NULL,
    UNIQUE (container_uuid, name)
);
CREATE INDEX objects_delete ON objects (delete_us) WHERE delete_us IS NOT NULL;

-- Bodies that no object names: those that arrive, and those that wait for their removal.
CREATE TABLE object_bodies (
    uuid TEXT PRIMARY KEY,
    doomed BIGINT NOT NULL,
    since_us BIGINT NOT NULL
);
