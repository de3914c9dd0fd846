//! Where machines ask what they are: which listeners there are for it, by the configuration and by what this host may do.

use crate::configuration::Netboot;
use netboot::{METADATA_ADDRESS, Segment, add_metadata_address, listen_for_metadata};
use std::io::ErrorKind;
use std::net::TcpListener;

/// A listener for each interface that is served. None where metadata is not to be served, or can't be: machines have config drives
/// besides, so that is told and is no error.
pub fn listeners(section: &Netboot, segments: &[Segment]) -> Vec<TcpListener> {
    match section.metadata {
        Some(false) => return Vec::new(),
        Some(true) => {
            if let Err(error) = add_metadata_address() {
                tracing::warn!(
                    "{METADATA_ADDRESS} could not be added to the loopback interface: {error}; run as root or with CAP_NET_ADMIN, or add \
                     it before: ip address add {METADATA_ADDRESS}/32 dev lo"
                );
            }
        }
        None => {}
    }
    let mut listeners = Vec::new();
    for segment in segments {
        match listen_for_metadata(&segment.interface) {
            Ok(listener) => {
                tracing::info!(interface = %segment.interface, address = %METADATA_ADDRESS, "tells machines their metadata");
                listeners.push(listener);
            }
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable && section.metadata.is_none() => {
                tracing::info!(
                    "machines have their config drives and no metadata at {METADATA_ADDRESS}: netboot.metadata = true gives this host the \
                     address"
                );
                return listeners;
            }
            Err(error) => tracing::warn!(
                interface = %segment.interface,
                "metadata can't be served at {METADATA_ADDRESS}, port 80: {error}"
            ),
        }
    }
    listeners
}
