-- Identity: who there is and who may do what where, and the catalog. `uuid` holds Keystone's kind of identifier (32 hex digits, the
-- word `default`, a region's name). Columns beside `doc` are projections of it, but for those of identity_users that say so.
CREATE TABLE identity_domains (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    enabled BIGINT NOT NULL,
    doc TEXT NOT NULL
);

CREATE TABLE identity_projects (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    domain_id TEXT NOT NULL REFERENCES identity_domains (uuid) ON DELETE CASCADE,
    name TEXT NOT NULL,
    parent_id TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    doc TEXT NOT NULL,
    UNIQUE (domain_id, name)
);
CREATE INDEX identity_projects_parent ON identity_projects (parent_id);

CREATE TABLE identity_users (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    domain_id TEXT NOT NULL REFERENCES identity_domains (uuid) ON DELETE CASCADE,
    name TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    doc TEXT NOT NULL,
    -- Not of the document: the sealed digest of the password, and since when tokens are valid.
    password {bytes},
    valid_since_us BIGINT NOT NULL DEFAULT 0,
    UNIQUE (domain_id, name)
);

CREATE TABLE identity_groups (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    domain_id TEXT NOT NULL REFERENCES identity_domains (uuid) ON DELETE CASCADE,
    name TEXT NOT NULL,
    doc TEXT NOT NULL,
    UNIQUE (domain_id, name)
);

CREATE TABLE identity_members (
    group_id TEXT NOT NULL REFERENCES identity_groups (uuid) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES identity_users (uuid) ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX identity_members_user ON identity_members (user_id);

-- A role of no domain has the empty text there, so that its name is unique too.
CREATE TABLE identity_roles (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    domain_id TEXT NOT NULL,
    name TEXT NOT NULL,
    doc TEXT NOT NULL,
    UNIQUE (domain_id, name)
);

CREATE TABLE identity_implied_roles (
    prior TEXT NOT NULL REFERENCES identity_roles (uuid) ON DELETE CASCADE,
    implied TEXT NOT NULL REFERENCES identity_roles (uuid) ON DELETE CASCADE,
    PRIMARY KEY (prior, implied)
);

-- Actors and scopes are of several tables: what goes takes its assignments with it in the same transaction (identity/cascade.rs).
CREATE TABLE identity_assignments (
    id {id},
    actor TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    role_id TEXT NOT NULL REFERENCES identity_roles (uuid) ON DELETE CASCADE,
    inherited BIGINT NOT NULL,
    UNIQUE (actor, actor_id, scope, scope_id, role_id, inherited)
);
CREATE INDEX identity_assignments_scope ON identity_assignments (scope, scope_id);

CREATE TABLE identity_regions (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    parent_region_id TEXT,
    doc TEXT NOT NULL
);

CREATE TABLE identity_services (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    name TEXT,
    doc TEXT NOT NULL
);

CREATE TABLE identity_endpoints (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    service_id TEXT NOT NULL REFERENCES identity_services (uuid) ON DELETE CASCADE,
    region_id TEXT REFERENCES identity_regions (uuid),
    interface TEXT NOT NULL,
    doc TEXT NOT NULL
);

-- `secret` is the sealed digest of the secret, not of the document.
CREATE TABLE identity_application_credentials (
    id {id},
    uuid TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL REFERENCES identity_users (uuid) ON DELETE CASCADE,
    project_id TEXT NOT NULL REFERENCES identity_projects (uuid) ON DELETE CASCADE,
    name TEXT NOT NULL,
    doc TEXT NOT NULL,
    secret {bytes},
    UNIQUE (user_id, name)
);

-- Tokens that were ended before their time, until that.
CREATE TABLE identity_revocations (
    audit_id TEXT PRIMARY KEY,
    until_us BIGINT NOT NULL
);
