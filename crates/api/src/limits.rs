//! Every limit of the API in one place. Sizes in bytes.

use std::time::Duration;

/// A request's body (`[api] max_json_body_size`).
pub const BODY_BYTES: usize = 1 << 20;
/// The body of `PUT …/states/provision`: it carries config drives.
pub const PROVISION_BODY_BYTES: usize = 64 << 20;
/// The body of `POST /v1/continue_inspection`: what a large machine consists of.
pub const INSPECTION_BODY_BYTES: usize = 16 << 20;
/// Nesting of JSON (`[api] max_json_body_depth`).
pub const JSON_DEPTH: usize = 25;
/// A request's headers must have come within this time, and the next request on an idle connection.
pub const HEADER_TIME: Duration = Duration::from_secs(30);
/// A TLS handshake must have ended within this time.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// A whole body of the usual size must have come within this time.
pub const BODY_TIME: Duration = Duration::from_secs(30);
/// The same of a body that may be larger.
pub const LARGE_BODY_TIME: Duration = Duration::from_secs(120);
/// Arguments in a query.
pub const QUERY_ARGUMENTS: usize = 64;
/// Operations in one JSON patch.
pub const PATCH_OPERATIONS: usize = 1000;
pub use model::wording::QUOTED_CHARACTERS;
/// Characters of a node's description.
pub const DESCRIPTION_CHARACTERS: u32 = 4096;
/// Traits of a node.
pub const TRAITS: usize = 50;
/// Traits of a runbook.
pub const RUNBOOK_TRAITS: usize = 1000;
/// Events that one request of the network service may carry.
pub const EXTERNAL_EVENTS: usize = 256;
/// Conditions, and actions, of one inspection rule.
pub const RULE_OPERATIONS: usize = 256;
/// Candidate nodes, and traits, of one allocation.
pub const ALLOCATION_WISHES: usize = 10_000;
/// Steps that one request may carry.
pub const STEPS: usize = 256;
/// MAC addresses in a lookup.
pub const LOOKUP_ADDRESSES: usize = 256;
/// Events that one request for a node's log returns.
pub const EVENTS: i64 = 10_000;
pub use conductor::{LOCK_PAUSE, LOCK_TRIES};
/// Passwords that are verified at once: each costs tens of milliseconds of a core.
pub const PASSWORD_CHECKS: usize = 2;
/// Right passwords that are remembered.
pub const PASSWORD_CACHE: usize = 256;
/// The password file is looked at again after this time.
pub const PASSWORD_FILE_AGE: Duration = Duration::from_secs(2);
/// Tokens of either kind, good and bad, that are remembered.
pub const TOKEN_CACHE: usize = 8192;
/// A token longer than this is none.
pub const TOKEN_BYTES: usize = 16 << 10;
/// A bad token is remembered so long.
pub const TOKEN_INVALID_AGE: Duration = Duration::from_secs(10);
/// A failed log-in of the service user is not tried again before this.
pub const TOKEN_FAILURE_AGE: Duration = Duration::from_secs(2);
/// The service user's token is renewed so long before it expires.
pub const TOKEN_RENEWAL: Duration = Duration::from_secs(60);
/// Requests to Keystone at once.
pub const KEYSTONE_REQUESTS: usize = 16;
/// Keystone must answer within this time.
pub const KEYSTONE_TIME: Duration = Duration::from_secs(10);
/// Keystone must accept a connection within this time.
pub const KEYSTONE_CONNECT_TIME: Duration = Duration::from_secs(5);
/// Keystone's answer.
pub const KEYSTONE_REPLY_BYTES: usize = 1 << 20;
/// Of those who wait for their password to be checked.
pub const PASSWORD_WAITERS: usize = 64;
/// They wait at most so long.
pub const PASSWORD_WAIT: Duration = Duration::from_secs(10);
/// A password; Keystone's own limit.
pub const PASSWORD_BYTES: usize = 4096;
/// So many wrong passwords in a row lock a user out …
pub const LOCKOUT_FAILURES: u32 = 10;
/// … for this time.
pub const LOCKOUT_TIME: Duration = Duration::from_secs(300);
/// Names for which wrong passwords are counted at once.
pub const LOCKOUT_NAMES: usize = 8192;
/// A token lives so long (`[token] expiration`).
pub const TOKEN_TIME: Duration = Duration::from_secs(3600);
/// Another service may go on with a user's work for so long after the token expired (`[token] allow_expired_window`).
pub const TOKEN_EXPIRED_WINDOW: Duration = Duration::from_secs(48 * 3600);
/// Projects below one another (`max_project_tree_depth`).
pub const PROJECT_DEPTH: usize = 5;
/// A request for a token.
pub const AUTH_BODY_BYTES: usize = 64 << 10;
/// Methods of one log-in.
pub const AUTH_METHODS: usize = 4;
/// Characters of a name of the identity service.
pub const NAME_CHARACTERS: usize = 255;
/// Characters of the name of a project, a domain or a group.
pub const PROJECT_NAME_CHARACTERS: usize = 64;
/// Characters of a description of the identity service.
pub const DESCRIPTION_TEXT: usize = 65_535;
/// Tags of a project.
pub const PROJECT_TAGS: usize = 80;
/// Roles of an application credential.
pub const CREDENTIAL_ROLES: usize = 64;
/// Application credentials of a user.
pub const APPLICATION_CREDENTIALS: usize = 1000;
/// Characters of an endpoint's URL.
pub const URL_CHARACTERS: usize = 2048;
