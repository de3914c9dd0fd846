//! One datagram out, one answer in: repetitions, back-off and the call's deadline.

use super::{Limits, Settings};
use crate::BmcError;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};
use wire::ipmi::packet::MAX_DATAGRAM;

/// Random bytes from the operating system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut out = [0; N];
    getrandom::fill(&mut out)?;
    Ok(out)
}

/// What a received datagram is to the question that was asked.
pub(super) enum Verdict<T> {
    /// Its answer.
    Answer(T),
    /// Proper, but the answer to something else: a late or doubled one.
    Stray,
    /// Damaged, forged or replayed, for this reason.
    Bad(String),
}

/// One call of a caller, from its start to its deadline, and what was seen on the way.
pub(super) struct Call<'a> {
    pub settings: &'a Settings,
    pub limits: &'a Limits,
    started: Instant,
    deadline: Instant,
    /// What is being asked just now, for messages.
    pub doing: String,
    attempts: u32,
    heard: bool,
    bad: Option<String>,
    /// What the network said.
    note: String,
}

impl<'a> Call<'a> {
    pub fn new(settings: &'a Settings, limits: &'a Limits, doing: &str) -> Self {
        let started = Instant::now();
        Self {
            settings,
            limits,
            started,
            deadline: started + limits.overall,
            doing: doing.to_owned(),
            attempts: 0,
            heard: false,
            bad: None,
            note: String::new(),
        }
    }

    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    pub fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Datagrams sent so far.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    pub fn note(&mut self, note: impl Into<String>) {
        self.note = note.into();
    }

    /// Sends what `send` makes, again and again with growing waits, until `judge` sees the answer, `tries` are used up or the call is
    /// over. `None`: no answer.
    pub async fn ask<S, T>(
        &mut self,
        socket: &UdpSocket,
        tries: Option<u32>,
        state: &mut S,
        mut send: impl FnMut(&mut S) -> Result<Vec<u8>, getrandom::Error>,
        mut judge: impl FnMut(&mut S, &[u8]) -> Verdict<T>,
    ) -> Result<Option<T>, BmcError> {
        for n in 0..tries.unwrap_or(u32::MAX) {
            if self.is_over() {
                break;
            }
            let datagram = send(state).map_err(|e| self.no_entropy(e))?;
            self.attempts += 1;
            if let Err(e) = socket.send(&datagram).await {
                self.note = e.to_string();
            }
            let until = (Instant::now() + self.limits.wait(n)).min(self.deadline);
            // The clock is looked at each time, so that a flood cannot hold a call beyond its limit.
            while Instant::now() < until && self.is_readable(socket, until).await {
                // On the stack and not in the future: a call that waits for a dead BMC is to be small.
                let mut buffer = [0; MAX_DATAGRAM];
                let datagram = match socket.try_recv(&mut buffer) {
                    Ok(length) => &buffer[..length],
                    Err(e) if e.kind() == ErrorKind::WouldBlock => continue,
                    // An ICMP message, such as port unreachable: nobody answers this time, but the BMC may be restarting.
                    Err(e) => {
                        self.note = e.to_string();
                        continue;
                    }
                };
                match judge(state, datagram) {
                    Verdict::Answer(answer) => {
                        self.heard = true;
                        self.bad = None;
                        self.note.clear();
                        return Ok(Some(answer));
                    }
                    Verdict::Stray => self.heard = true,
                    Verdict::Bad(problem) => {
                        tracing::debug!(bmc = %self.settings.endpoint(), doing = %self.doing, %problem, "packet dropped");
                        self.bad = Some(problem);
                    }
                }
            }
        }
        Ok(None)
    }

    /// Waits for a datagram, at most until `until`.
    async fn is_readable(&mut self, socket: &UdpSocket, until: Instant) -> bool {
        match timeout_at(until, socket.readable()).await {
            Ok(Ok(())) => true,
            Ok(Err(e)) => {
                self.note = e.to_string();
                false
            }
            Err(_) => false,
        }
    }

    /// Pauses, at most until the deadline.
    pub async fn pause(&self, until: Instant) {
        if until > Instant::now() {
            tokio::time::sleep_until(until.min(self.deadline)).await;
        }
    }

    pub fn address(&self) -> String {
        self.settings.endpoint()
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The error for "no answer".
    pub fn silence(&self) -> BmcError {
        let (address, doing, elapsed) = (self.address(), self.doing.clone(), self.elapsed());
        match &self.bad {
            Some(problem) => BmcError::BadPacket { address, doing, problem: problem.clone(), elapsed },
            None if self.heard => BmcError::Timeout {
                address,
                doing,
                attempts: self.attempts,
                elapsed,
                detail: self.note.clone(),
            },
            None => {
                BmcError::Unreachable { address, attempts: self.attempts, elapsed, detail: self.note.clone() }
            }
        }
    }

    /// The error for a wait behind other calls that took all the time.
    pub fn crowded(&self) -> BmcError {
        BmcError::Timeout {
            address: self.address(),
            doing: self.doing.clone(),
            attempts: 0,
            elapsed: self.elapsed(),
            detail: "earlier commands to this BMC took all the time".to_owned(),
        }
    }

    fn no_entropy(&self, error: getrandom::Error) -> BmcError {
        BmcError::Unsupported {
            address: self.address(),
            doing: self.doing.clone(),
            detail: format!("the operating system gives no random numbers: {error}"),
        }
    }

    /// Fresh random bytes, or the call's error.
    pub fn random<const N: usize>(&self) -> Result<[u8; N], BmcError> {
        random().map_err(|e| self.no_entropy(e))
    }
}
