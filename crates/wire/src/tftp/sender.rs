//! The side that gives a file away.

use std::ops::Range;
use std::time::Duration;

use super::{DEFAULT_BLOCK_BYTES, OptionAck, Packet, ReadRequest};

/// What a server allows a client to negotiate, and how patient it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest block, in octets. 1468 fills an Ethernet frame; more would be fragmented, which ROMs reassemble
    /// badly or not at all.
    pub block_bytes: u16,
    /// The most blocks sent before an acknowledgement.
    pub window_blocks: u16,
    /// How long the first wait for an acknowledgement lasts when the client gave no `timeout`; each further wait
    /// without progress lasts twice as long.
    pub first_timeout: Duration,
    /// The longest single wait.
    pub longest_timeout: Duration,
    /// How many waits in a row may pass without progress before the transfer is given up.
    pub attempts: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            block_bytes: 1468,
            window_blocks: 32,
            first_timeout: Duration::from_secs(1),
            longest_timeout: Duration::from_secs(8),
            attempts: 6,
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send these options and wait.
    SendOptions(OptionAck),
    /// Send these blocks and wait. Ask [`Sender::block`] for each one's number and bytes.
    SendBlocks(Range<u64>),
    /// Send nothing and go on waiting, for what is left of the present wait.
    Wait,
    /// All was acknowledged.
    Done,
    /// The client only wanted to know the size (or does not like our options) and will ask again: PXE ROMs do so before
    /// every read. Not a failure.
    Declined,
    /// The client gave up in mid-transfer, for this reason. Nothing is to be sent.
    Aborted(String),
    /// The client has gone silent.
    GaveUp,
}

/// One transfer to one client. Knows no socket, clock or file: it is told of packets and of waits that are over.
#[derive(Debug, Clone)]
pub struct Sender {
    size: u64,
    block_bytes: u16,
    window: u64,
    options: OptionAck,
    /// The client has not acknowledged our options yet.
    negotiating: bool,
    /// Blocks that arrived; the window begins at the next one. Counted from 0 and never wrapped.
    acknowledged: u64,
    /// Blocks sent so far; those from `acknowledged` to here are on their way.
    sent: u64,
    /// The window was already sent again because of a repeated acknowledgement.
    repeated: bool,
    fixed_timeout: Option<Duration>,
    waits: u32,
    limits: Limits,
}

impl Sender {
    /// The transfer of a file of `size` octets that answers `request`, and its first step.
    #[must_use]
    pub fn new(request: &ReadRequest, size: u64, limits: Limits) -> (Self, Step) {
        let options = OptionAck {
            block_bytes: request.block_bytes.map(|b| b.min(limits.block_bytes)),
            timeout_seconds: request.timeout_seconds,
            size_bytes: request.wants_size.then_some(size),
            window_blocks: request.window_blocks.map(|w| w.min(limits.window_blocks)),
        };
        let mut sender = Self {
            size,
            block_bytes: options.block_bytes.unwrap_or(DEFAULT_BLOCK_BYTES),
            window: u64::from(options.window_blocks.unwrap_or(1)),
            options,
            negotiating: !options.is_empty(),
            acknowledged: 0,
            sent: 0,
            repeated: false,
            fixed_timeout: options.timeout_seconds.map(|s| Duration::from_secs(s.into())),
            waits: 0,
            limits,
        };
        let step = sender.send();
        (sender, step)
    }

    /// How long to wait for a packet from now on.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.fixed_timeout.unwrap_or_else(|| {
            let doubled = self.limits.first_timeout.saturating_mul(1 << self.waits.min(16));
            doubled.min(self.limits.longest_timeout)
        })
    }

    /// Octets that the client has acknowledged.
    #[must_use]
    pub fn acknowledged_bytes(&self) -> u64 {
        (self.acknowledged * u64::from(self.block_bytes)).min(self.size)
    }

    /// The number that goes into a block's packet, and where its bytes are in the file. The last block is shorter than
    /// the others, maybe empty.
    #[must_use]
    pub fn block(&self, index: u64) -> (u16, Range<u64>) {
        let start = (index * u64::from(self.block_bytes)).min(self.size);
        let end = (start + u64::from(self.block_bytes)).min(self.size);
        // Numbers start at 1 and wrap, as every client in use expects.
        (((index + 1) & 0xffff) as u16, start..end)
    }

    /// The client sent a packet.
    pub fn on_packet(&mut self, packet: &Packet<'_>) -> Step {
        match packet {
            Packet::Ack { block } => self.on_ack(*block),
            Packet::Error { code, text } => {
                if self.acknowledged == 0 && self.options.size_bytes.is_some() {
                    Step::Declined
                } else if text.is_empty() {
                    Step::Aborted(format!("{code:?}"))
                } else {
                    Step::Aborted(format!("{code:?}: {text}"))
                }
            }
            Packet::Read(_) | Packet::Data { .. } | Packet::OptionAck(_) => Step::Wait,
        }
    }

    /// The wait of [`Sender::timeout`] passed without a packet that made progress.
    pub fn on_timeout(&mut self) -> Step {
        self.waits += 1;
        if self.waits >= self.limits.attempts {
            return Step::GaveUp;
        }
        self.repeated = false;
        self.send()
    }

    fn on_ack(&mut self, block: u16) -> Step {
        if self.negotiating {
            if block != 0 {
                return Step::Wait;
            }
            self.negotiating = false;
            self.waits = 0;
            return self.send();
        }
        // Distance from the last acknowledged block, in the 16 bits that the wire has.
        let ahead = u64::from(block.wrapping_sub((self.acknowledged & 0xffff) as u16));
        if ahead == 0 {
            // The first block of a window was lost (RFC 7440 §4), or this is a delayed copy. Answering every copy would
            // double the traffic for the rest of the transfer (RFC 1123 §4.2.3.1): at most one answer a window, and
            // none in lock-step, where only the timer sends again.
            if self.window == 1 || self.repeated {
                return Step::Wait;
            }
            self.repeated = true;
            return self.send();
        }
        if ahead > self.sent - self.acknowledged {
            return Step::Wait;
        }
        self.acknowledged += ahead;
        self.waits = 0;
        self.repeated = false;
        if self.acknowledged == self.blocks() { Step::Done } else { self.send() }
    }

    /// A file that ends at a block's border is followed by an empty block (RFC 1350 §6).
    fn blocks(&self) -> u64 {
        self.size / u64::from(self.block_bytes) + 1
    }

    fn send(&mut self) -> Step {
        if self.negotiating {
            return Step::SendOptions(self.options);
        }
        let end = (self.acknowledged + self.window).min(self.blocks());
        self.sent = self.sent.max(end);
        Step::SendBlocks(self.acknowledged..end)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ErrorCode;
    use super::*;
    use proptest::prelude::*;

    fn ack(block: u16) -> Packet<'static> {
        Packet::Ack { block }
    }

    fn request(block: Option<u16>, window: Option<u16>) -> ReadRequest {
        ReadRequest { file: "f".into(), block_bytes: block, window_blocks: window, ..ReadRequest::default() }
    }

    #[test]
    fn plain_lock_step() {
        let (mut sender, step) = Sender::new(&request(None, None), 1024, Limits::default());
        assert_eq!(step, Step::SendBlocks(0..1));
        assert_eq!(sender.block(0), (1, 0..512));
        assert_eq!(sender.on_packet(&ack(1)), Step::SendBlocks(1..2));
        assert_eq!(sender.on_packet(&ack(1)), Step::Wait, "a delayed copy is not answered");
        assert_eq!(sender.on_packet(&ack(2)), Step::SendBlocks(2..3));
        assert_eq!(sender.block(2), (3, 1024..1024), "a full last block is followed by an empty one");
        assert_eq!(sender.on_packet(&ack(3)), Step::Done);
        assert_eq!(sender.acknowledged_bytes(), 1024);
    }

    #[test]
    fn options_first_and_within_limits() {
        let mut asked = request(Some(65464), Some(1000));
        asked.wants_size = true;
        asked.timeout_seconds = Some(3);
        let (mut sender, step) = Sender::new(&asked, 100_000, Limits::default());
        let options = OptionAck {
            block_bytes: Some(1468),
            timeout_seconds: Some(3),
            size_bytes: Some(100_000),
            window_blocks: Some(32),
        };
        assert_eq!(step, Step::SendOptions(options));
        assert_eq!(sender.timeout(), Duration::from_secs(3));
        assert_eq!(sender.on_timeout(), Step::SendOptions(options));
        assert_eq!(sender.on_packet(&ack(7)), Step::Wait);
        assert_eq!(sender.on_packet(&ack(0)), Step::SendBlocks(0..32));
    }

    #[test]
    fn a_window_goes_on_from_the_gap() {
        let (mut sender, _) = Sender::new(&request(Some(1000), Some(8)), 20_000, Limits::default());
        assert_eq!(sender.on_packet(&ack(0)), Step::SendBlocks(0..8));
        assert_eq!(sender.on_packet(&ack(5)), Step::SendBlocks(5..13));
        // The first block of the window was lost: the last acknowledgement comes again, is answered once, then not.
        assert_eq!(sender.on_packet(&ack(5)), Step::SendBlocks(5..13));
        assert_eq!(sender.on_packet(&ack(5)), Step::Wait);
        assert_eq!(sender.on_packet(&ack(4)), Step::Wait, "behind the window");
        assert_eq!(sender.on_packet(&ack(14)), Step::Wait, "not sent yet");
        assert_eq!(sender.on_packet(&ack(13)), Step::SendBlocks(13..21));
        assert_eq!(sender.on_packet(&ack(21)), Step::Done);
    }

    #[test]
    fn waits_longer_each_time_and_gives_up() {
        let (mut sender, _) = Sender::new(&request(None, None), 10, Limits::default());
        let mut waits = Vec::new();
        loop {
            waits.push(sender.timeout().as_secs());
            match sender.on_timeout() {
                Step::SendBlocks(blocks) => assert_eq!(blocks, 0..1),
                Step::GaveUp => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(waits, [1, 2, 4, 8, 8, 8]);
    }

    #[test]
    fn asking_for_the_size_alone_is_no_failure() {
        let mut asked = request(None, None);
        asked.wants_size = true;
        let (mut sender, _) = Sender::new(&asked, 10, Limits::default());
        let enough = Packet::Error { code: ErrorCode::NotDefined, text: "TFTP Aborted".into() };
        assert_eq!(sender.on_packet(&enough), Step::Declined);
        let (mut sender, _) = Sender::new(&request(None, None), 10, Limits::default());
        assert_eq!(sender.on_packet(&enough), Step::Aborted("NotDefined: TFTP Aborted".into()));
    }

    #[test]
    fn block_numbers_wrap() {
        let (mut sender, _) = Sender::new(&request(Some(8), None), 8 * 70_000, Limits::default());
        assert_eq!(sender.on_packet(&ack(0)), Step::SendBlocks(0..1));
        for index in 0u64..70_000 {
            let (number, _) = sender.block(index);
            assert_eq!(sender.on_packet(&ack(number)), Step::SendBlocks(index + 1..index + 2));
        }
        assert_eq!(sender.on_packet(&ack(sender.block(70_000).0)), Step::Done);
    }

    proptest! {
        /// Against a receiver on a line that loses a quarter of the packets either way, the file arrives whole, and never
        /// more than a window is sent for one packet received.
        #[test]
        fn arrives_over_a_lossy_line(size in 0u64..60_000, block in 8u16..=1468, window in 1u16..12, seed in 1u64..) {
            let limits = Limits { attempts: 1000, ..Limits::default() };
            let (mut sender, mut step) = Sender::new(&request(Some(block), Some(window)), size, limits);
            let mut state = seed;
            let mut is_lost = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state % 4 == 0
            };
            let (mut received, mut blocks_received, mut is_complete) = (0u64, 0u64, false);
            for _ in 0..200_000 {
                let mut answer = None;
                match step {
                    Step::SendOptions(_) => answer = (!is_lost()).then_some(0),
                    Step::SendBlocks(blocks) => {
                        prop_assert!(blocks.end - blocks.start <= u64::from(window));
                        for index in blocks {
                            if is_lost() {
                                continue;
                            }
                            let (_, bytes) = sender.block(index);
                            if index == blocks_received && !is_complete {
                                prop_assert_eq!(bytes.start, received);
                                received = bytes.end;
                                blocks_received += 1;
                                is_complete = bytes.end - bytes.start < u64::from(block);
                            }
                            answer = Some((blocks_received & 0xffff) as u16);
                        }
                    }
                    Step::Done => {
                        prop_assert!(is_complete);
                        prop_assert_eq!(received, size);
                        return Ok(());
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
                step = match answer.filter(|_| !is_lost()) {
                    Some(block) => match sender.on_packet(&ack(block)) {
                        Step::Wait => sender.on_timeout(),
                        step => step,
                    },
                    None => sender.on_timeout(),
                };
            }
            prop_assert!(false, "did not end");
        }

        #[test]
        fn never_panics(size: u32, acks in proptest::collection::vec(any::<u16>(), 0..200), window in 1u16..) {
            let (mut sender, _) = Sender::new(&request(Some(512), Some(window)), size.into(), Limits::default());
            for block in acks {
                if let Step::SendBlocks(blocks) = sender.on_packet(&ack(block)) {
                    for index in blocks { let _ = sender.block(index); }
                }
                let _ = sender.timeout();
            }
        }
    }
}
