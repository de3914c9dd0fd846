-- The image service. Columns beside `doc` are projections of it; tags and properties too, for the lists that ask for them.
CREATE TABLE images (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    name TEXT,
    status TEXT NOT NULL,
    visibility TEXT NOT NULL,
    owner TEXT,
    container_format TEXT,
    disk_format TEXT,
    size BIGINT,
    checksum TEXT,
    os_hash_algo TEXT,
    os_hash_value TEXT,
    min_disk BIGINT NOT NULL,
    min_ram BIGINT NOT NULL,
    protected BIGINT NOT NULL,
    os_hidden BIGINT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX images_owner ON images (owner);
CREATE INDEX images_created ON images (created_us);
CREATE INDEX images_name ON images (name);

CREATE TABLE image_tags (
    image_uuid TEXT NOT NULL REFERENCES images (uuid) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (image_uuid, tag)
);

CREATE TABLE image_properties (
    image_uuid TEXT NOT NULL REFERENCES images (uuid) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (image_uuid, name)
);

CREATE TABLE image_members (
    image_uuid TEXT NOT NULL REFERENCES images (uuid) ON DELETE CASCADE,
    project TEXT NOT NULL,
    status TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL,
    PRIMARY KEY (image_uuid, project)
);
CREATE INDEX image_members_project ON image_members (project);

CREATE TABLE image_tasks (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    image_uuid TEXT NOT NULL,
    owner TEXT,
    status TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX image_tasks_image ON image_tasks (image_uuid);
