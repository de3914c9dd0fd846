//! An open session's packets: signing, encryption and the check against replay. Both sides use it.

use super::DecodeError;
use super::crypto::{BLOCK, CipherSuite, Keys, is_same};
use super::packet::{PayloadType, V20, encode_v20};

/// Next-header byte of the session trailer: always 07h (table 13-8).
const NEXT_HEADER: u8 = 0x07;

/// Why a packet of a session was not taken. None of these changes the session's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It belongs to another session, or to none.
    #[error("it carries session id {got:#010x}, ours is {ours:#010x}")]
    OtherSession {
        /// Id in the packet.
        got: u32,
        /// This session's id.
        ours: u32,
    },
    /// Not signed or not encrypted though the session's cipher suite demands both.
    #[error("it is not signed and encrypted as the cipher suite demands")]
    Unprotected,
    /// The authentication code does not match: forged, damaged, or sealed with other keys.
    #[error("its authentication code is wrong: forged or damaged on the way")]
    Forged,
    /// Its sequence number was seen before, or is too old to tell.
    #[error("its sequence number {sequence} was seen before: replayed or duplicated on the way")]
    Replayed {
        /// Session sequence number of the packet.
        sequence: u32,
    },
    /// Signed properly, but its content makes no sense.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

/// Sequence numbers already received (6.12.13): each number once, in any order within 32 of the newest.
///
/// The specification also drops what is more than 16 ahead of the newest. That is left out: packets get here only with a valid
/// authentication code, and a client whose packets were lost for a while would never get back in.
#[derive(Debug, Clone, Default)]
struct Window {
    newest: u32,
    /// Bit n: `newest - n` was received.
    seen: u32,
}

impl Window {
    fn is_new(&self, sequence: u32) -> bool {
        if sequence == 0 {
            return false;
        }
        let ahead = sequence.wrapping_sub(self.newest);
        if ahead == 0 {
            return self.seen & 1 == 0;
        }
        if ahead < 1 << 31 {
            return true;
        }
        let behind = self.newest.wrapping_sub(sequence);
        behind < 32 && self.seen & (1 << behind) == 0
    }

    fn record(&mut self, sequence: u32) {
        let ahead = sequence.wrapping_sub(self.newest);
        if ahead < 1 << 31 {
            self.seen = if ahead < 32 { (self.seen << ahead) | 1 } else { 1 };
            self.newest = sequence;
        } else {
            self.seen |= 1 << self.newest.wrapping_sub(sequence);
        }
    }
}

/// One side of an open session.
#[derive(Debug, Clone)]
pub struct Channel {
    suite: CipherSuite,
    keys: Keys,
    local_id: u32,
    remote_id: u32,
    sent: u32,
    window: Window,
}

impl Channel {
    pub(crate) fn new(suite: CipherSuite, keys: Keys, local_id: u32, remote_id: u32) -> Self {
        Self { suite, keys, local_id, remote_id, sent: 0, window: Window::default() }
    }

    /// The suite that protects this session.
    pub fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// The id that packets to us carry.
    pub fn local_id(&self) -> u32 {
        self.local_id
    }

    /// The id that packets to the other side carry.
    pub fn remote_id(&self) -> u32 {
        self.remote_id
    }

    /// Encrypts, numbers and signs a payload. `vector` must be fresh random bytes for each packet.
    pub fn seal(&mut self, payload_type: PayloadType, payload: &[u8], vector: &[u8; BLOCK]) -> Vec<u8> {
        self.sent = self.sent.checked_add(1).unwrap_or(1);
        if !self.suite.is_protected() {
            return encode_v20(payload_type, false, false, self.remote_id, self.sent, payload);
        }
        let encrypted = self.keys.encrypt(payload, vector);
        let mut out = encode_v20(payload_type, true, true, self.remote_id, self.sent, &encrypted);
        // Pad so that the covered part, pad length and next header included, is a multiple of four.
        let pad = (4 - (out.len() - 4 + 2) % 4) % 4;
        out.extend(std::iter::repeat_n(0xff, pad));
        out.extend([pad as u8, NEXT_HEADER]);
        let code = self.keys.packet_code(self.suite, &out[4..]);
        out.extend(code.truncated(self.suite.integrity_bytes()));
        out
    }

    /// Verifies a packet, records its sequence number and decrypts its payload.
    pub fn open(&mut self, packet: &V20<'_>) -> Result<Vec<u8>, Rejected> {
        if packet.session_id != self.local_id {
            return Err(Rejected::OtherSession { got: packet.session_id, ours: self.local_id });
        }
        if !self.suite.is_protected() {
            if packet.encrypted || packet.authenticated {
                return Err(Rejected::Unprotected);
            }
            return self.accept(packet.sequence, packet.payload.to_vec());
        }
        if !(packet.encrypted && packet.authenticated) {
            return Err(Rejected::Unprotected);
        }
        let covered_len = packet
            .from_auth_type
            .len()
            .checked_sub(self.suite.integrity_bytes())
            .filter(|n| *n >= 12 + packet.payload.len() + 2)
            .ok_or(Rejected::Forged)?;
        let (covered, code) = packet.from_auth_type.split_at(covered_len);
        let expected = self.keys.packet_code(self.suite, covered);
        if !is_same(code, expected.truncated(self.suite.integrity_bytes())) {
            return Err(Rejected::Forged);
        }
        if !self.window.is_new(packet.sequence) {
            return Err(Rejected::Replayed { sequence: packet.sequence });
        }
        let plain = self.keys.decrypt(packet.payload)?;
        self.accept(packet.sequence, plain)
    }

    fn accept(&mut self, sequence: u32, payload: Vec<u8>) -> Result<Vec<u8>, Rejected> {
        if !self.window.is_new(sequence) {
            return Err(Rejected::Replayed { sequence });
        }
        self.window.record(sequence);
        Ok(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn each_number_is_taken_once_in_any_order() {
        let mut w = Window::default();
        for n in [1, 3, 2, 40, 39, 20] {
            assert!(w.is_new(n), "{n}");
            w.record(n);
            assert!(!w.is_new(n), "{n} again");
        }
        assert!(!w.is_new(8), "too old to tell");
        assert!(!w.is_new(0));
        assert!(w.is_new(1000));
    }

    #[test]
    fn the_window_survives_the_wrap() {
        let mut w = Window { newest: u32::MAX, seen: 1 };
        assert!(w.is_new(1));
        w.record(1);
        assert!(!w.is_new(u32::MAX));
        assert!(w.is_new(u32::MAX - 1));
    }
}
