//! Which server asks.

use model::compute::Server;
use model::network::NetworkPort;
use std::net::IpAddr;
use store::{Store, StoreError};
use uuid::Uuid;

/// The server that has this address. `None` where none has it, and where servers of several networks have it: who asks can't be told
/// then, and nobody shall read what is another's.
pub(super) async fn server_at(store: &Store, address: IpAddr) -> Result<Option<Server>, StoreError> {
    let mut found: Option<Server> = None;
    for port in store.network_ports_by_address(address).await? {
        let Some(uuid) = server_of(&port) else { continue };
        let server: Server = match store.get(&uuid.to_string()).await {
            Ok(server) => server,
            // The port is about to go the way of its server.
            Err(StoreError::NotFound { .. }) => continue,
            Err(error) => return Err(error),
        };
        // A port says what its owner makes it say; the server knows which ones are its own.
        if !server.ports.iter().any(|own| own.port == port.id) {
            continue;
        }
        match &found {
            Some(other) if other.uuid != server.uuid => {
                tracing::warn!(
                    %address, one = %other.uuid, other = %server.uuid,
                    "metadata is told to neither of two servers that have the same address in different networks; use config drives"
                );
                return Ok(None);
            }
            _ => found = Some(server),
        }
    }
    Ok(found)
}

/// The server that a port is bound to.
fn server_of(port: &NetworkPort) -> Option<Uuid> {
    if !port.device_owner.starts_with("compute:") {
        return None;
    }
    Uuid::try_parse(&port.device_id).ok()
}
