//! The packets.

use super::TftpError;

const OP_READ: u16 = 1;
const OP_WRITE: u16 = 2;
const OP_DATA: u16 = 3;
const OP_ACK: u16 = 4;
const OP_ERROR: u16 = 5;
const OP_OPTION_ACK: u16 = 6;

/// The longest request that is looked at, in octets (RFC 2347 §2).
const MAX_REQUEST_BYTES: usize = 512;

/// Why a transfer ends early (RFC 1350 appendix, RFC 2347 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// 0: see the text.
    NotDefined,
    /// 1.
    FileNotFound,
    /// 2.
    AccessViolation,
    /// 4.
    IllegalOperation,
    /// 5: a packet of a transfer that is not known.
    UnknownTransfer,
    /// 8: the client does not want these options; it may ask again with others.
    OptionsRefused,
    /// Any other number.
    Other(u16),
}

impl From<u16> for ErrorCode {
    fn from(number: u16) -> Self {
        match number {
            0 => Self::NotDefined,
            1 => Self::FileNotFound,
            2 => Self::AccessViolation,
            4 => Self::IllegalOperation,
            5 => Self::UnknownTransfer,
            8 => Self::OptionsRefused,
            other => Self::Other(other),
        }
    }
}

impl From<ErrorCode> for u16 {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::NotDefined => 0,
            ErrorCode::FileNotFound => 1,
            ErrorCode::AccessViolation => 2,
            ErrorCode::IllegalOperation => 4,
            ErrorCode::UnknownTransfer => 5,
            ErrorCode::OptionsRefused => 8,
            ErrorCode::Other(other) => other,
        }
    }
}

/// A client asks to read a file in octet mode. Options that are absent, malformed or out of their RFC's range are
/// `None`: a server leaves those unacknowledged, and the client goes on without (RFC 2347 §4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadRequest {
    /// The file's name as the client wrote it; never a path to open.
    pub file: String,
    /// `blksize`, 8 to 65464 octets (RFC 2348).
    pub block_bytes: Option<u16>,
    /// `timeout`, 1 to 255 seconds (RFC 2349).
    pub timeout_seconds: Option<u8>,
    /// `tsize`: the client wants to know the file's size (RFC 2349).
    pub wants_size: bool,
    /// `windowsize`, 1 to 65535 blocks (RFC 7440).
    pub window_blocks: Option<u16>,
}

/// The options that the server takes up, with its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OptionAck {
    /// `blksize` in octets.
    pub block_bytes: Option<u16>,
    /// `timeout` in seconds.
    pub timeout_seconds: Option<u8>,
    /// `tsize`: the file's size in octets.
    pub size_bytes: Option<u64>,
    /// `windowsize` in blocks.
    pub window_blocks: Option<u16>,
}

impl OptionAck {
    /// Whether nothing was taken up; then there is nothing to send.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.block_bytes.is_none()
            && self.timeout_seconds.is_none()
            && self.size_bytes.is_none()
            && self.window_blocks.is_none()
    }
}

/// One TFTP packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A request to read.
    Read(ReadRequest),
    /// A block of the file.
    Data {
        /// The block's number, from 1, modulo 65536.
        block: u16,
        /// Its bytes; fewer than the block size in the last one.
        bytes: &'a [u8],
    },
    /// All blocks up to this one have arrived.
    Ack {
        /// The last block that arrived in order, modulo 65536; 0 acknowledges an option acknowledgement.
        block: u16,
    },
    /// The transfer is over.
    Error {
        /// Why.
        code: ErrorCode,
        /// Why, in words.
        text: String,
    },
    /// The options that the server takes up.
    OptionAck(OptionAck),
}

impl<'a> Packet<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// [`TftpError::Malformed`]: drop it. [`TftpError::Unsupported`]: a write request, or another mode than octet; tell
    /// the client.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TftpError> {
        let malformed = |what| TftpError::Malformed { what };
        let (opcode, rest) =
            bytes.split_first_chunk::<2>().ok_or(malformed("shorter than an operation code"))?;
        match u16::from_be_bytes(*opcode) {
            OP_READ => read_request(bytes.len(), rest).map(Self::Read),
            OP_WRITE => Err(TftpError::Unsupported {
                code: ErrorCode::AccessViolation,
                what: "this server is read-only",
            }),
            OP_DATA => {
                let (block, bytes) =
                    rest.split_first_chunk::<2>().ok_or(malformed("data without a block number"))?;
                Ok(Self::Data { block: u16::from_be_bytes(*block), bytes })
            }
            OP_ACK => {
                let block =
                    rest.first_chunk::<2>().ok_or(malformed("acknowledgement without a block number"))?;
                Ok(Self::Ack { block: u16::from_be_bytes(*block) })
            }
            OP_ERROR => {
                let (code, text) = rest.split_first_chunk::<2>().ok_or(malformed("error without a code"))?;
                let text = text.split(|&b| b == 0).next().unwrap_or_default();
                let text: String =
                    String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(120).collect();
                Ok(Self::Error { code: u16::from_be_bytes(*code).into(), text })
            }
            OP_OPTION_ACK => option_ack(rest).map(Self::OptionAck),
            _ => Err(malformed("unknown operation code")),
        }
    }

    /// Writes the packet to the end of `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Read(request) => {
                out.extend(OP_READ.to_be_bytes());
                put_text(out, &request.file);
                put_text(out, "octet");
                put_option(out, "blksize", request.block_bytes);
                put_option(out, "timeout", request.timeout_seconds);
                put_option(out, "tsize", request.wants_size.then_some(0));
                put_option(out, "windowsize", request.window_blocks);
            }
            Self::Data { block, bytes } => {
                out.extend(OP_DATA.to_be_bytes());
                out.extend(block.to_be_bytes());
                out.extend_from_slice(bytes);
            }
            Self::Ack { block } => {
                out.extend(OP_ACK.to_be_bytes());
                out.extend(block.to_be_bytes());
            }
            Self::Error { code, text } => {
                out.extend(OP_ERROR.to_be_bytes());
                out.extend(u16::from(*code).to_be_bytes());
                put_text(out, text);
            }
            Self::OptionAck(options) => {
                out.extend(OP_OPTION_ACK.to_be_bytes());
                put_option(out, "blksize", options.block_bytes);
                put_option(out, "timeout", options.timeout_seconds);
                put_option(out, "tsize", options.size_bytes);
                put_option(out, "windowsize", options.window_blocks);
            }
        }
    }
}

/// Text ends at a zero octet on the wire, so one inside can't be carried and is left out.
fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().filter(|&b| b != 0));
    out.push(0);
}

fn put_option(out: &mut Vec<u8>, name: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        put_text(out, name);
        put_text(out, &value.to_string());
    }
}

/// The zero-terminated texts of a request. A last one without its zero is not there.
fn texts(bytes: &[u8]) -> impl Iterator<Item = Option<&str>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let end = rest.iter().position(|&b| b == 0)?;
        let text = std::str::from_utf8(&rest[..end]).ok();
        rest = &rest[end + 1..];
        Some(text)
    })
}

fn read_request(total_bytes: usize, body: &[u8]) -> Result<ReadRequest, TftpError> {
    let malformed = |what| TftpError::Malformed { what };
    if total_bytes > MAX_REQUEST_BYTES {
        return Err(malformed("request longer than 512 octets"));
    }
    let mut texts = texts(body);
    let file =
        texts.next().flatten().filter(|f| !f.is_empty()).ok_or(malformed("request without a file name"))?;
    let mode = texts.next().flatten().ok_or(malformed("request without a mode"))?;
    if !mode.eq_ignore_ascii_case("octet") {
        return Err(TftpError::Unsupported {
            code: ErrorCode::IllegalOperation,
            what: "only octet mode is served",
        });
    }
    let mut request = ReadRequest { file: file.to_owned(), ..ReadRequest::default() };
    each_option(texts, |name, value| {
        // RFC 2347 §2: an option may be given once only; of several the first counts.
        if name.eq_ignore_ascii_case("blksize") {
            request.block_bytes = request.block_bytes.or(in_range(value, 8, 65464));
        } else if name.eq_ignore_ascii_case("timeout") {
            request.timeout_seconds = request.timeout_seconds.or(in_range(value, 1, 255));
        } else if name.eq_ignore_ascii_case("tsize") {
            request.wants_size = true;
        } else if name.eq_ignore_ascii_case("windowsize") {
            request.window_blocks = request.window_blocks.or(in_range(value, 1, 65535));
        }
    });
    Ok(request)
}

fn option_ack(body: &[u8]) -> Result<OptionAck, TftpError> {
    let mut options = OptionAck::default();
    each_option(texts(body), |name, value| {
        if name.eq_ignore_ascii_case("blksize") {
            options.block_bytes = in_range(value, 8, 65464);
        } else if name.eq_ignore_ascii_case("timeout") {
            options.timeout_seconds = in_range(value, 1, 255);
        } else if name.eq_ignore_ascii_case("tsize") {
            options.size_bytes = value.parse().ok();
        } else if name.eq_ignore_ascii_case("windowsize") {
            options.window_blocks = in_range(value, 1, 65535);
        }
    });
    Ok(options)
}

fn each_option<'a>(mut texts: impl Iterator<Item = Option<&'a str>>, mut each: impl FnMut(&str, &str)) {
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        if let (Some(name), Some(value)) = (name, value) {
            each(name, value);
        }
    }
}

fn in_range<T: TryFrom<u32>>(value: &str, low: u32, high: u32) -> Option<T> {
    let number = value.parse::<u32>().ok().filter(|n| (low..=high).contains(n))?;
    T::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_uefi_firmware_asks() {
        let bytes = b"\0\x01snponly.efi\0octet\0tsize\x000\0blksize\x001468\0windowsize\x004\0";
        let request = ReadRequest {
            file: "snponly.efi".into(),
            block_bytes: Some(1468),
            timeout_seconds: None,
            wants_size: true,
            window_blocks: Some(4),
        };
        assert_eq!(Packet::parse(bytes), Ok(Packet::Read(request)));
    }

    #[test]
    fn options_out_of_range_or_unknown_are_left_out() {
        let bytes =
            b"\0\x01f\0OCTET\0BLKSIZE\x007\0timeout\x00256\0windowsize\x000\0multicast\0\0blksize\x001024\0";
        let Ok(Packet::Read(request)) = Packet::parse(bytes) else { panic!("not a read request") };
        assert_eq!(request.block_bytes, Some(1024));
        assert_eq!((request.timeout_seconds, request.window_blocks, request.wants_size), (None, None, false));
    }

    #[test]
    fn refuses_writing_and_other_modes() {
        assert!(matches!(
            Packet::parse(b"\0\x02f\0octet\0"),
            Err(TftpError::Unsupported { code: ErrorCode::AccessViolation, .. })
        ));
        assert!(matches!(
            Packet::parse(b"\0\x01f\0netascii\0"),
            Err(TftpError::Unsupported { code: ErrorCode::IllegalOperation, .. })
        ));
        for bytes in
            [&b""[..], b"\0", b"\0\x01", b"\0\x01f\0octet", b"\0\x01\0octet\0", b"\0\x03\0", b"\0\x09"]
        {
            assert!(matches!(Packet::parse(bytes), Err(TftpError::Malformed { .. })), "{bytes:?}");
        }
        let mut long = b"\0\x01".to_vec();
        long.extend([b'f'; 600]);
        long.extend(b"\0octet\0");
        assert!(matches!(Packet::parse(&long), Err(TftpError::Malformed { .. })));
    }

    #[test]
    fn writes_an_option_ack_byte_by_byte() {
        let mut out = Vec::new();
        let options =
            OptionAck { block_bytes: Some(1468), size_bytes: Some(205_000), ..OptionAck::default() };
        Packet::OptionAck(options).encode(&mut out);
        assert_eq!(out, b"\0\x06blksize\x001468\0tsize\x00205000\0");
    }

    fn packet_text() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9./ -]{1,60}"
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Packet::parse(&bytes);
        }

        #[test]
        fn never_panics_on_any_request(tail in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut bytes = b"\0\x01".to_vec();
            bytes.extend(tail);
            let _ = Packet::parse(&bytes);
        }

        #[test]
        fn round_trips(
            file in packet_text(), text in packet_text(), block: u16, code: u16, size: u64, wants_size: bool,
            block_bytes in proptest::option::of(8u16..=65464), timeout in proptest::option::of(1u8..), window in proptest::option::of(1u16..),
            data in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            let packets = [
                Packet::Read(ReadRequest { file, block_bytes, timeout_seconds: timeout, wants_size, window_blocks: window }),
                Packet::Data { block, bytes: &data },
                Packet::Ack { block },
                Packet::Error { code: code.into(), text },
                Packet::OptionAck(OptionAck { block_bytes, timeout_seconds: timeout, size_bytes: Some(size), window_blocks: window }),
            ];
            for packet in packets {
                let mut out = Vec::new();
                packet.encode(&mut out);
                prop_assert_eq!(Packet::parse(&out), Ok(packet));
            }
        }
    }
}
