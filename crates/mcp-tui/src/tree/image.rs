//! What a picture is, from its first bytes.

use base64::Engine as _;

use crate::text;

/// So much of the encoded text is looked at; a JPEG may have a preview before its size.
const LOOKED_AT: usize = 64 * 1024;

/// Format and size of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// `PNG`, `JPEG`, `GIF` or `WebP`.
    pub format: &'static str,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// Reads the header of a PNG, JPEG, GIF or WebP.
pub fn describe(bytes: &[u8]) -> Option<Picture> {
    let big = |at: usize, long: usize| bytes.get(at..at + long).map(|b| b.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)));
    let little =
        |at: usize, long: usize| bytes.get(at..at + long).map(|b| b.iter().rev().fold(0_u32, |n, b| n << 8 | u32::from(*b)));
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some(Picture { format: "PNG", width: big(16, 4)?, height: big(20, 4)? });
    }
    if bytes.starts_with(b"GIF8") {
        return Some(Picture { format: "GIF", width: little(6, 2)?, height: little(8, 2)? });
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12)? == b"WEBP" {
        let (width, height) = match bytes.get(12..16)? {
            b"VP8X" => (little(24, 3)? + 1, little(27, 3)? + 1),
            b"VP8L" => ((little(21, 4)? & 0x3fff) + 1, (little(21, 4)? >> 14 & 0x3fff) + 1),
            b"VP8 " => (little(26, 2)? & 0x3fff, little(28, 2)? & 0x3fff),
            _ => return None,
        };
        return Some(Picture { format: "WebP", width, height });
    }
    if bytes.starts_with(&[0xff, 0xd8]) {
        let mut at = 2;
        loop {
            let marker = *bytes.get(at + 1)?;
            if bytes[at] != 0xff {
                return None;
            }
            // The frame headers hold the size; C4, C8 and CC are tables.
            if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
                return Some(Picture { format: "JPEG", width: big(at + 7, 2)?, height: big(at + 5, 2)? });
            }
            at += if marker == 0xff { 1 } else { 2 + usize::try_from(big(at + 2, 2)?).ok()? };
        }
    }
    None
}

/// `image/png 48 kB 640x480`, for a spelled string of base64.
pub(super) fn in_words(media: &str, spelled: &[u8]) -> String {
    let encoded = spelled.strip_prefix(b"\"").unwrap_or(spelled);
    let encoded = encoded.strip_suffix(b"\"").unwrap_or(encoded);
    let padding = encoded.iter().rev().take_while(|b| **b == b'=').count();
    let size = text::size((encoded.len() * 3 / 4).saturating_sub(padding));
    let head = &encoded[..encoded.len().min(LOOKED_AT) / 4 * 4];
    let picture = base64::engine::general_purpose::STANDARD.decode(head).ok().and_then(|bytes| describe(&bytes));
    match picture {
        Some(picture) if media.to_ascii_lowercase().contains(&picture.format.to_ascii_lowercase()) => {
            format!("{media} {size} {}x{}", picture.width, picture.height)
        }
        // A label that does not fit the bytes is worth saying.
        Some(picture) => format!("{media} {size} {}x{} (is {})", picture.width, picture.height, picture.format),
        None => format!("{media} {size}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_format_and_size() {
        let png = [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &[0, 0, 2, 128, 0, 0, 1, 224, 8, 6]].concat();
        let jpeg = [&[0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc0, 0, 11, 8][..], &[1, 224, 2, 128, 3]].concat();
        let gif = b"GIF89a\x80\x02\xe0\x01\0".to_vec();
        let webp = [b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0".as_slice(), &[127, 2, 0, 223, 1, 0]].concat();
        for (bytes, format) in [(png, "PNG"), (jpeg, "JPEG"), (gif, "GIF"), (webp, "WebP")] {
            assert_eq!(describe(&bytes), Some(Picture { format, width: 640, height: 480 }));
            for end in 0..bytes.len() - 1 {
                let _ = describe(&bytes[..end]);
            }
        }
        assert_eq!(describe(b"hello"), None);
    }
}
