//! From bytes to text.

use crate::{Place, Problem, ProblemKind};

/// The text of a file, its byte order mark included.
///
/// Refuses UTF-16 and bytes that are not UTF-8, with the position of the first offending byte.
pub fn decode(bytes: &[u8]) -> Result<&str, Problem> {
    let utf16 = bytes.starts_with(&[0xff, 0xfe])
        || bytes.starts_with(&[0xfe, 0xff])
        || matches!(bytes, [0, b, ..] | [b, 0, ..] if b.is_ascii_graphic() || b.is_ascii_whitespace());
    if utf16 {
        return Err(Problem { kind: ProblemKind::Utf16, place: Some(Place { offset: 0, line: 1, column: 1 }) });
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let good = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        Problem::at(good, good.len(), ProblemKind::NotUtf8)
    })
}
