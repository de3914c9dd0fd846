//! Parts of a body: `Range` (RFC 9110, 14.2).

/// Bytes from `start` on, `length` of them; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub length: u64,
}

impl Range {
    /// The last byte.
    pub fn last(self) -> u64 {
        self.start + self.length - 1
    }
}

/// Why a range is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeError {
    /// It is not one, or there are too many: the header is ignored.
    Ignored,
    /// Nothing of it lies in the body: 416.
    Unsatisfiable,
}

/// Ranges of one request that are served; with more the header is ignored.
const RANGES: usize = 50;

/// Reads the value of `Range` for a body of `size` bytes; ranges that lie outside are left out.
pub fn parse_ranges(value: &str, size: u64) -> Result<Vec<Range>, RangeError> {
    let list = value.trim().strip_prefix("bytes=").ok_or(RangeError::Ignored)?;
    let mut ranges = Vec::new();
    for (count, item) in list.split(',').enumerate() {
        if count == RANGES {
            return Err(RangeError::Ignored);
        }
        let (first, last) = item.trim().split_once('-').ok_or(RangeError::Ignored)?;
        let number = |text: &str| -> Result<Option<u64>, RangeError> {
            if text.is_empty() {
                return Ok(None);
            }
            if !text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(RangeError::Ignored);
            }
            // What is too large for a number lies behind the end of everything.
            Ok(Some(text.parse().unwrap_or(u64::MAX)))
        };
        let (start, end) = match (number(first)?, number(last)?) {
            (None, None) => return Err(RangeError::Ignored),
            (None, Some(length)) => (size - length.min(size), size),
            (Some(start), None) => (start, size),
            (Some(start), Some(last)) if last >= start => (start, last.saturating_add(1).min(size)),
            (Some(_), Some(_)) => return Err(RangeError::Ignored),
        };
        if start < end {
            ranges.push(Range { start, length: end - start });
        }
    }
    if ranges.is_empty() { Err(RangeError::Unsatisfiable) } else { Ok(ranges) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_body() {
        let one = |text, size| parse_ranges(text, size).map(|list| (list[0].start, list[0].length));
        assert_eq!(one("bytes=0-0", 10), Ok((0, 1)));
        assert_eq!(one("bytes=2-", 10), Ok((2, 8)));
        assert_eq!(one("bytes=-3", 10), Ok((7, 3)));
        assert_eq!(one("bytes=-30", 10), Ok((0, 10)));
        assert_eq!(one("bytes=8-99999999999999999999999", 10), Ok((8, 2)));
        assert_eq!(one("bytes=10-", 10), Err(RangeError::Unsatisfiable));
        assert_eq!(one("bytes=-0", 10), Err(RangeError::Unsatisfiable));
        assert_eq!(one("bytes=0-", 0), Err(RangeError::Unsatisfiable));
        for bad in ["bytes=3-2", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=+1-2", ""] {
            assert_eq!(one(bad, 10), Err(RangeError::Ignored), "{bad}");
        }
        assert_eq!(parse_ranges("bytes=0-1, 4-5,20-", 10).unwrap().len(), 2);
        assert_eq!(
            parse_ranges(&format!("bytes={}", vec!["0-1"; 51].join(",")), 10),
            Err(RangeError::Ignored)
        );
    }
}
