//! Faults on demand: what a BMC or the network before it does on a bad day.

use std::time::Duration;
use wire::ipmi::{CompletionCode, Request};

/// What goes wrong from now on. The default is a healthy BMC.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Nothing is received at all.
    pub is_dead: bool,
    /// So many of the next datagrams are lost on their way in.
    pub lose_next: u32,
    /// One of so many datagrams is lost on its way in.
    pub lose_every: Option<u32>,
    /// Sessions are opened, and what is asked in them is never answered.
    pub hangs_in_session: bool,
    /// So many of the next answers are lost on their way out, after the deed is done.
    pub lose_next_answers: u32,
    /// Answers are held back for so long.
    pub delay: Duration,
    /// One bit of each answer is flipped.
    pub damages: bool,
    /// A datagram of noise precedes each answer.
    pub precedes_with_noise: bool,
    /// The last answer from before this was set is sent in place of each new one.
    pub replays: bool,
    /// Every answer is sent twice.
    pub doubles: bool,
    /// A command that is answered wrongly.
    pub wrong_reply: Option<WrongReply>,
    /// Datagrams received so far; the simulator counts.
    pub received: u64,
    /// The last healthy answer.
    last: Option<Vec<u8>>,
}

/// An answer to put in place of the right one.
#[derive(Debug, Clone)]
pub struct WrongReply {
    /// Network function of the request.
    pub netfn: u8,
    /// Its command.
    pub command: u8,
    /// Completion code to give.
    pub completion: CompletionCode,
    /// Data to give.
    pub data: Vec<u8>,
    /// How often.
    pub times: u32,
}

impl Faults {
    /// Counts a datagram; true if it is to be lost.
    pub(super) fn loses_next(&mut self) -> bool {
        self.received += 1;
        if self.lose_next > 0 {
            self.lose_next -= 1;
            return true;
        }
        self.is_dead || self.lose_every.is_some_and(|every| self.received.is_multiple_of(every.max(1).into()))
    }

    /// The forced answer to this request, if there is one.
    pub(super) fn wrong_reply(&mut self, request: &Request) -> Option<(CompletionCode, Vec<u8>)> {
        let wrong = self.wrong_reply.as_mut()?;
        if (wrong.netfn, wrong.command) != (request.netfn, request.command) || wrong.times == 0 {
            return None;
        }
        wrong.times -= 1;
        Some((wrong.completion, wrong.data.clone()))
    }

    /// The datagrams to send in place of a good answer.
    pub(super) fn spoil(&mut self, reply: Vec<u8>) -> Vec<Vec<u8>> {
        if self.lose_next_answers > 0 {
            self.lose_next_answers -= 1;
            return Vec::new();
        }
        if self.replays
            && let Some(last) = &self.last
        {
            return vec![last.clone()];
        }
        self.last = Some(reply.clone());
        let mut out = Vec::new();
        if self.precedes_with_noise {
            out.push(reply.iter().map(|b| !b).collect());
            out.push(vec![0x06, 0x00, 0xff, 0x07, 0x06]);
            out.push(Vec::new());
        }
        let mut reply = reply;
        if self.damages
            && let Some(byte) = reply.iter_mut().rev().nth(20)
        {
            *byte ^= 0x10;
        }
        if self.doubles {
            out.push(reply.clone());
        }
        out.push(reply);
        out
    }
}
