//! Step 6, the part about compressed answers.
//!
//! The rule is one for all callers: egress asks for `identity`. An upstream that compresses all the same
//! with gzip or deflate (some always do) is decoded here, within the limit on the decoded size, and the
//! answer is passed on as if it had not been compressed; any other coding is refused. So nothing leaves
//! this crate that the scrubber could not read, and no caller can be made to decompress a bomb.
//!
//! Input is taken in small pieces: a piece of [`PIECE`] bytes grows to at most about a megabyte, after
//! which the limit is checked.

use std::io::Write;

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::error::EgressError;

/// How many bytes are decoded at a time. Deflate grows 1032 times at most.
pub(crate) const PIECE: usize = 1024;

const BROKEN: EgressError = EgressError::BadAnswer("its compressed body is broken");

/// A streaming decoder.
pub(crate) enum Decoder {
    Gzip(MultiGzDecoder<Vec<u8>>),
    /// `deflate` means zlib, and means raw deflate to some; the first bytes decide.
    DeflateStart(Vec<u8>),
    Zlib(ZlibDecoder<Vec<u8>>),
    Raw(DeflateDecoder<Vec<u8>>),
}

impl Decoder {
    /// The decoder that the answer's headers call for; `None` for a body that is not encoded.
    pub(crate) fn for_answer(headers: &HeaderMap) -> Result<Option<Self>, EgressError> {
        let mut decoder = None;
        let codings = headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .flat_map(|value| value.to_str().unwrap_or("?").split(','))
            .map(|coding| coding.trim().to_ascii_lowercase())
            .filter(|coding| !coding.is_empty() && coding != "identity");
        for coding in codings {
            if decoder.is_some() {
                return Err(EgressError::BadAnswer(
                    "its body is compressed more than once",
                ));
            }
            decoder = Some(match coding.as_str() {
                "gzip" | "x-gzip" => Self::Gzip(MultiGzDecoder::new(Vec::new())),
                "deflate" => Self::DeflateStart(Vec::new()),
                _ => {
                    return Err(EgressError::BadAnswer(
                        "its body has a coding that was not asked for; only gzip and deflate are read",
                    ));
                }
            });
        }
        Ok(decoder)
    }

    /// Decodes one piece.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<Vec<u8>, EgressError> {
        match self {
            Self::Gzip(decoder) => {
                write_all(decoder, piece).map(|()| std::mem::take(decoder.get_mut()))
            }
            Self::Zlib(decoder) => {
                write_all(decoder, piece).map(|()| std::mem::take(decoder.get_mut()))
            }
            Self::Raw(decoder) => {
                write_all(decoder, piece).map(|()| std::mem::take(decoder.get_mut()))
            }
            Self::DeflateStart(start) => {
                start.extend_from_slice(piece);
                let &[first, second, ..] = start.as_slice() else {
                    return Ok(Vec::new());
                };
                let start = std::mem::take(start);
                // RFC 1950: method 8, and the two bytes are a multiple of 31.
                let zlib =
                    first & 15 == 8 && u16::from_be_bytes([first, second]).is_multiple_of(31);
                *self = if zlib {
                    Self::Zlib(ZlibDecoder::new(Vec::new()))
                } else {
                    Self::Raw(DeflateDecoder::new(Vec::new()))
                };
                self.push(&start)
            }
        }
    }

    /// What remains at the end of the body. An answer that stops in the middle is refused; one without
    /// any body (a 304, say) is not.
    pub(crate) fn finish(&mut self, received: u64) -> Result<Vec<u8>, EgressError> {
        if received == 0 {
            return Ok(Vec::new());
        }
        match self {
            Self::Gzip(decoder) => decoder
                .try_finish()
                .map(|()| std::mem::take(decoder.get_mut())),
            Self::Zlib(decoder) => decoder
                .try_finish()
                .map(|()| std::mem::take(decoder.get_mut())),
            Self::Raw(decoder) => decoder
                .try_finish()
                .map(|()| std::mem::take(decoder.get_mut())),
            Self::DeflateStart(_) => return Err(BROKEN),
        }
        .map_err(|_| BROKEN)
    }
}

fn write_all(decoder: &mut impl Write, piece: &[u8]) -> Result<(), EgressError> {
    decoder
        .write_all(piece)
        .and_then(|()| decoder.flush())
        .map_err(|_| BROKEN)
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::HeaderValue;

    use super::*;

    fn named(coding: &str) -> Result<Option<Decoder>, EgressError> {
        Decoder::for_answer(&HeaderMap::from_iter([(
            CONTENT_ENCODING,
            HeaderValue::from_str(coding).unwrap(),
        )]))
    }

    fn decoded(coding: &str, body: &[u8], piece: usize) -> Result<Vec<u8>, EgressError> {
        let mut decoder = named(coding)?.unwrap();
        let mut out = Vec::new();
        for piece in body.chunks(piece) {
            out.extend(decoder.push(piece)?);
        }
        out.extend(decoder.finish(body.len() as u64)?);
        Ok(out)
    }

    fn encoded() -> [(&'static str, Vec<u8>); 3] {
        let text = b"the same text, the same text, the same text";
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(text).unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(text).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(text).unwrap();
        [
            ("gzip", gzip.finish().unwrap()),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", raw.finish().unwrap()),
        ]
    }

    #[test]
    fn gzip_zlib_and_raw_deflate_are_read_in_pieces_of_any_size() {
        for (coding, body) in encoded() {
            for piece in [1, 2, 7, 1000] {
                let out = decoded(coding, &body, piece).unwrap();
                assert_eq!(out, b"the same text, the same text, the same text");
            }
        }
    }

    #[test]
    fn a_truncated_or_garbled_body_is_refused() {
        for (coding, body) in encoded() {
            assert!(
                decoded(coding, &body[..body.len() / 2], 1000).is_err(),
                "{coding}"
            );
        }
        assert!(decoded("gzip", b"not gzip at all, is it?", 5).is_err());
        assert!(decoded("deflate", b"x", 5).is_err());
    }

    #[test]
    fn other_codings_and_layers_of_codings_are_refused_and_identity_is_none() {
        for coding in ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "?"] {
            assert!(named(coding).is_err(), "{coding}");
        }
        assert!(named("identity").unwrap().is_none());
        assert!(named("").unwrap().is_none());
    }

    #[test]
    fn one_piece_of_a_bomb_grows_to_about_a_megabyte_and_no_more() {
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        bomb.write_all(&vec![0; 32 << 20]).unwrap();
        let bomb = bomb.finish().unwrap();
        let mut decoder = named("gzip").unwrap().unwrap();
        for piece in bomb.chunks(PIECE) {
            assert!(decoder.push(piece).unwrap().len() < 2 << 20);
        }
    }
}
