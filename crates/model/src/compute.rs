//! What the compute service speaks of: flavors, keypairs, quotas, groups of servers; servers, and which node they get.

pub mod action;
pub mod aggregate;
pub mod extra_spec;
pub mod flavor;
pub mod keypair;
pub mod past_server;
pub mod quota;
pub mod scheduler;
pub mod server;
pub mod server_group;

pub use action::{ActionEvent, ServerAction};
pub use aggregate::Aggregate;
pub use flavor::Flavor;
pub use keypair::Keypair;
pub use past_server::PastServer;
pub use quota::Quota;
pub use server::{
    Lock, PowerView, RequestedNetworks, Server, ServerFault, ServerFlavor, ServerImage, ServerKey,
    ServerPort, ServerUsage, ServerWork, TaskState, VmState, WantedPort,
};
pub use server_group::ServerGroup;
