//! What the compute service speaks of: flavors, keypairs, quotas, groups of servers.

pub mod aggregate;
pub mod extra_spec;
pub mod flavor;
pub mod keypair;
pub mod quota;
pub mod server_group;

pub use aggregate::Aggregate;
pub use flavor::Flavor;
pub use keypair::Keypair;
pub use quota::Quota;
pub use server_group::ServerGroup;
