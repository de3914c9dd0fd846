//! Many clients at once: a thread and a connection each.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::server::Server;
use crate::error::{Error, Result};

/// Does `jobs` jobs on so many connections, each taking the next job as it is done with one; out comes how long all took.
///
/// # Errors
/// The first one of a job.
pub(super) fn share(
    server: &Server,
    connections: usize,
    jobs: usize,
    job: impl Fn(&mut Connection, usize) -> Result<()> + Sync,
) -> Result<Duration> {
    let next = AtomicUsize::new(0);
    let (took, _) = each(server, connections, |connection, _| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= jobs {
                return Ok(());
            }
            job(connection, number)?;
        }
    })?;
    Ok(took)
}

/// Lets so many clients do their own work; out comes how long all took and what each says.
///
/// # Errors
/// The first one of a client.
pub(super) fn each<T: Send>(
    server: &Server,
    connections: usize,
    work: impl Fn(&mut Connection, usize) -> Result<T> + Sync,
) -> Result<(Duration, Vec<T>)> {
    let mut open = (0..connections).map(|_| server.connect()).collect::<Result<Vec<_>>>()?;
    let work = &work;
    let began = Instant::now();
    let said = std::thread::scope(|scope| {
        let clients: Vec<_> = open
            .iter_mut()
            .enumerate()
            .map(|(number, connection)| scope.spawn(move || work(connection, number)))
            .collect();
        let ended = clients.into_iter().map(|client| client.join());
        ended
            .map(|outcome| outcome.unwrap_or_else(|_| Err(Error::Invalid("a client panicked".into()))))
            .collect::<Result<Vec<_>>>()
    })?;
    Ok((began.elapsed(), said))
}
