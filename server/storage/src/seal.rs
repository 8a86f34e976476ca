//! One sealed body: AES-256-GCM in segments, with random access.
//!
//! ```text
//! header, 56 bytes                    segment 0              segment 1        last segment
//! ┌───────┬───┬────┬────┬───────┬──────┬────────┬───────┬───┐┌──────────────┬─────┐┌───────┬─────┐┌─────────┬─────┐
//! │"ISOE" │ver│area│ 0 0│blob id│key id│ length │prefix │ 0 ││ 65,536 bytes │ tag ││  ...  │ tag ││ 0 to 64K│ tag │
//! │   4   │ 1 │ 1  │ 2  │  16   │  16  │   8    │   7   │ 1 ││              │ 16  ││       │ 16  ││         │ 16  │
//! └───────┴───┴────┴────┴───────┴──────┴────────┴───────┴───┘└──────────────┴─────┘└───────┴─────┘└─────────┴─────┘
//! ```
//!
//! The nonce of a segment is the prefix, its number (four bytes, big endian) and whether it is the last (one byte): the
//! STREAM construction. What a segment authenticates besides its bytes is the header, its number and the last-flag again.
//! So a changed byte, a segment at another place, another body's segment, a cut end and another area all fail to open.
//!
//! Key and prefix are HKDF-SHA-256 of the Individual's key, salted with the blob id, for this area and version. The blob
//! id is drawn anew for every attempt to seal; a key is thus used for one body, and a nonce once. Since the prefix is
//! derived too, whoever holds the reference and the key knows the whole header without reading it: a range costs exactly
//! its segments, in one read.

use std::ops::Range;

use aes_gcm::aead::KeyInit;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm};
use zeroize::Zeroizing;

use crate::area::Area;
use crate::error::{Damage, Error, Result};
use crate::id::{BlobId, KeyId};
use crate::key::Secret;

/// Version of the sealed form.
pub(crate) const VERSION: u8 = 1;
/// Plain bytes of a full segment.
pub(crate) const SEGMENT: u64 = 65_536;
/// Bytes of a tag.
pub(crate) const TAG: u64 = 16;
/// Bytes of the header.
pub(crate) const HEADER: u64 = 56;

const MAGIC: [u8; 4] = *b"ISOE";
const SEALED_SEGMENT: u64 = SEGMENT + TAG;
/// How many other places are tried to name the place that a segment came from.
const TRIES: u64 = 2048;

/// Returns the number of segments of a body: an empty one has an empty segment, which proves that it is empty.
pub(crate) fn segments(plain_len: u64) -> u64 {
    plain_len.div_ceil(SEGMENT).max(1)
}

/// Returns how long a body becomes.
pub(crate) fn sealed_len(plain_len: u64) -> Result<u64> {
    let count = segments(plain_len);
    // the number of a segment has four bytes in the nonce
    if count > u64::from(u32::MAX) {
        return Err(Error::TooLarge { len: plain_len });
    }
    Ok(HEADER + plain_len + count * TAG)
}

/// The part of a sealed body that a range of its plain bytes touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// First segment touched.
    pub(crate) first: u64,
    /// Bytes of the sealed body to read, from its start. Includes the header where the first segment is touched.
    pub(crate) sealed: Range<u64>,
    /// Plain bytes to drop in front.
    pub(crate) skip: usize,
    /// Plain bytes asked for.
    pub(crate) take: usize,
}

impl Window {
    /// Returns the window of a range, which lies inside the body.
    pub(crate) fn of(plain_len: u64, range: &Range<u64>) -> Result<Self> {
        let outside = Error::OutOfRange {
            start: range.start,
            end: range.end,
            len: plain_len,
        };
        if range.start > range.end || range.end > plain_len {
            return Err(outside);
        }
        let first = if range.start == plain_len {
            segments(plain_len) - 1
        } else {
            range.start / SEGMENT
        };
        let end = segments(range.end).max(first + 1); // one past the last segment touched
        let start = if first == 0 { 0 } else { HEADER + first * SEALED_SEGMENT };
        let stop = HEADER + (end * SEGMENT).min(plain_len) + end * TAG;
        let (Ok(skip), Ok(take)) = (
            usize::try_from(range.start - first * SEGMENT),
            usize::try_from(range.end - range.start),
        ) else {
            return Err(outside);
        };
        Ok(Self {
            first,
            sealed: start..stop,
            skip,
            take,
        })
    }
}

/// Seals and opens the segments of one body.
pub(crate) struct BlobCipher {
    cipher: Aes256Gcm,
    header: [u8; HEADER as usize],
    prefix: [u8; 7],
    plain_len: u64,
}

impl BlobCipher {
    /// Derives the cipher of a body from the key that it is, or is to be, sealed under.
    pub(crate) fn new(key: &Secret, area: Area, blob_id: BlobId, key_id: KeyId, plain_len: u64) -> Result<Self> {
        sealed_len(plain_len)?;
        let mut derived = Zeroizing::new([0; 39]);
        let info: [&[u8]; 2] = [b"isocenter blob", &[area.code(), VERSION]];
        key.derive(blob_id.as_bytes(), &info, derived.as_mut())?;
        let (Some(key), Some(prefix)) = (derived.first_chunk::<32>(), derived.last_chunk::<7>()) else {
            return Err(Error::Internal("a derived key is too short"));
        };
        let mut header = Vec::with_capacity(HEADER as usize);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&[VERSION, area.code(), 0, 0]);
        header.extend_from_slice(blob_id.as_bytes());
        header.extend_from_slice(key_id.as_bytes());
        header.extend_from_slice(&plain_len.to_be_bytes());
        header.extend_from_slice(prefix);
        header.push(0);
        let header = header
            .try_into()
            .map_err(|_| Error::Internal("a header has another length"))?;
        Ok(Self {
            cipher: Aes256Gcm::new(key.into()),
            header,
            prefix: *prefix,
            plain_len,
        })
    }

    /// Returns the header as it must stand in the pack.
    pub(crate) fn header(&self) -> &[u8; HEADER as usize] {
        &self.header
    }

    /// Returns how many plain bytes a segment has.
    pub(crate) fn segment_len(&self, index: u64) -> u64 {
        self.plain_len.saturating_sub(index * SEGMENT).min(SEGMENT)
    }

    fn nonce_and_associated(&self, index: u64, last: bool) -> ([u8; 12], [u8; HEADER as usize + 5]) {
        // at most u32::MAX segments, see `sealed_len`
        let number = u32::try_from(index).unwrap_or(u32::MAX).to_be_bytes();
        let mut nonce = [0; 12];
        let mut associated = [0; HEADER as usize + 5];
        let tail = number.into_iter().chain([u8::from(last)]);
        for (to, from) in nonce.iter_mut().zip(self.prefix.into_iter().chain(tail.clone())) {
            *to = from;
        }
        for (to, from) in associated.iter_mut().zip(self.header.into_iter().chain(tail)) {
            *to = from;
        }
        (nonce, associated)
    }

    fn is_last(&self, index: u64) -> bool {
        index + 1 == segments(self.plain_len)
    }

    /// Seals a segment: `out` is its place in the pack, tag included. Takes the plain bytes from `plain`, or, without
    /// it, from `out` itself.
    pub(crate) fn seal(&self, index: u64, plain: Option<&[u8]>, out: &mut [u8]) -> Result<()> {
        const WRONG: Error = Error::Internal("a segment has another length");
        let (nonce, associated) = self.nonce_and_associated(index, self.is_last(index));
        let (bytes, tag) = out.split_last_chunk_mut::<{ TAG as usize }>().ok_or(WRONG)?;
        if bytes.len() as u64 != self.segment_len(index) {
            return Err(WRONG);
        }
        let bytes = match plain {
            Some(plain) => InOutBuf::new(plain, bytes).map_err(|_| WRONG)?,
            None => bytes.into(),
        };
        let made = self
            .cipher
            .encrypt_inout_detached(&nonce.into(), &associated, bytes)
            .map_err(|_| WRONG)?;
        *tag = made.into();
        Ok(())
    }

    /// Opens a segment, tag included, where it lies; returns whether it is what was sealed.
    fn open(&self, index: u64, last: bool, sealed: &mut [u8]) -> bool {
        let (nonce, associated) = self.nonce_and_associated(index, last);
        let Some((bytes, tag)) = sealed.split_last_chunk_mut::<{ TAG as usize }>() else {
            return false;
        };
        let tag = (*tag).into();
        self.cipher
            .decrypt_inout_detached(&nonce.into(), &associated, bytes.into(), &tag)
            .is_ok()
    }

    /// Opens the bytes of a window in place and moves the plain bytes together at the front; returns their number.
    ///
    /// A failure says what happened as far as the bytes at hand tell. A header that was not read is not looked at.
    pub(crate) fn open_window(&self, window: &Window, buf: &mut [u8]) -> Result<usize, Damage> {
        if (buf.len() as u64) < window.sealed.end - window.sealed.start {
            return Err(Damage::CutOff);
        }
        let mut at = 0;
        if window.first == 0 {
            at = HEADER as usize;
            if let Some(found) = buf.get(..at) {
                self.check_header(found)?;
            }
        }
        let mut written = 0;
        let mut index = window.first;
        while at < buf.len() {
            let len = (self.segment_len(index) + TAG) as usize;
            let Some(sealed) = buf.get_mut(at..at + len) else {
                return Err(Damage::CutOff);
            };
            if !self.open(index, self.is_last(index), sealed) {
                return Err(self.blame(index, sealed));
            }
            let plain = len - TAG as usize;
            buf.copy_within(at..at + plain, written);
            written += plain;
            at += len;
            index += 1;
        }
        Ok(written)
    }

    /// Tells what is wrong with a header that was read.
    pub(crate) fn check_header(&self, found: &[u8]) -> Result<(), Damage> {
        if found == self.header {
            return Ok(());
        }
        // only the area and, as it is derived for the area, the prefix differ: sealed for another area
        let same = |range: Range<usize>| found.get(range.clone()) == self.header.get(range);
        let area = found.get(5).copied().and_then(Area::from_code);
        match area {
            Some(area) if same(0..5) && !same(5..6) && same(6..48) && !same(48..55) => Err(Damage::WrongArea(area)),
            _ => Err(Damage::Header),
        }
    }

    /// Tells a segment that was moved from one that was altered.
    fn blame(&self, place: u64, sealed: &mut [u8]) -> Damage {
        // the tag is checked before anything is written, so the bytes are still as they were read
        let count = segments(self.plain_len);
        for distance in 1..count.min(TRIES) {
            for belongs in [place.checked_sub(distance), place.checked_add(distance)]
                .into_iter()
                .flatten()
            {
                if belongs < count && self.open(belongs, self.is_last(belongs), sealed) {
                    return Damage::Moved { place, belongs };
                }
            }
        }
        Damage::Segment(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cipher(area: Area, len: usize) -> BlobCipher {
        let key = Secret::draw().unwrap();
        BlobCipher::new(
            &key,
            area,
            BlobId::from_bytes([1; 16]),
            KeyId::from_bytes([2; 16]),
            len as u64,
        )
        .unwrap()
    }

    fn plain(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
    }

    fn seal(cipher: &BlobCipher, plain: &[u8]) -> Vec<u8> {
        let mut out = cipher.header().to_vec();
        for index in 0..segments(plain.len() as u64) {
            let from = (index * SEGMENT) as usize;
            let part = &plain[from..from + cipher.segment_len(index) as usize];
            let at = out.len();
            out.resize(at + part.len() + TAG as usize, 0);
            cipher.seal(index, Some(part), &mut out[at..]).unwrap();
        }
        assert_eq!(out.len() as u64, sealed_len(plain.len() as u64).unwrap());
        out
    }

    fn open(cipher: &BlobCipher, sealed: &[u8], range: Range<u64>) -> Result<Vec<u8>, Damage> {
        let window = Window::of(cipher.plain_len, &range).unwrap();
        let end = sealed.len().min(window.sealed.end as usize);
        let mut buf = sealed[(window.sealed.start as usize).min(end)..end].to_vec();
        let len = cipher.open_window(&window, &mut buf)?;
        buf.truncate(len);
        Ok(buf[window.skip..window.skip + window.take].to_vec())
    }

    #[test]
    fn sealing_in_place_and_from_elsewhere_give_the_same_bytes() {
        let cipher = cipher(Area::Archive, 1000);
        let plain = plain(1000);
        let mut out = plain.clone();
        out.resize(1016, 0);
        cipher.seal(0, None, &mut out).unwrap();
        assert_eq!(out, seal(&cipher, &plain)[HEADER as usize..]);
    }

    #[test]
    fn lengths_around_a_segment_open_again() {
        for len in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000] {
            let cipher = cipher(Area::Archive, len);
            let plain = plain(len);
            assert_eq!(
                open(&cipher, &seal(&cipher, &plain), 0..len as u64).unwrap(),
                plain,
                "{len}"
            );
        }
    }

    #[test]
    fn a_body_too_large_for_the_segment_number_is_refused() {
        assert!(sealed_len(u64::from(u32::MAX) * SEGMENT).is_ok());
        assert!(matches!(
            sealed_len(u64::from(u32::MAX) * SEGMENT + 1),
            Err(Error::TooLarge { .. })
        ));
    }

    #[test]
    fn two_swapped_segments_are_named() {
        let cipher = cipher(Area::Archive, 300_000);
        let mut sealed = seal(&cipher, &plain(300_000));
        let (a, b) = (HEADER as usize + 65_552, HEADER as usize + 3 * 65_552);
        let kept = sealed[a..a + 65_552].to_vec();
        sealed.copy_within(b..b + 65_552, a);
        sealed[b..b + 65_552].copy_from_slice(&kept);
        assert_eq!(
            open(&cipher, &sealed, 0..300_000),
            Err(Damage::Moved { place: 1, belongs: 3 })
        );
        assert_eq!(
            open(&cipher, &sealed, 200_000..200_001),
            Err(Damage::Moved { place: 3, belongs: 1 })
        );
        assert!(
            open(&cipher, &sealed, 0..65_536).is_ok(),
            "an untouched segment still opens"
        );
    }

    #[test]
    fn another_area_is_named() {
        let key = Secret::draw().unwrap();
        let new = |area| {
            BlobCipher::new(
                &key,
                area,
                BlobId::from_bytes([1; 16]),
                KeyId::from_bytes([2; 16]),
                100_000,
            )
            .unwrap()
        };
        let sealed = seal(&new(Area::Quarantine), &plain(100_000));
        let archive = new(Area::Archive);
        assert_eq!(open(&archive, &sealed, 0..10), Err(Damage::WrongArea(Area::Quarantine)));
        assert_eq!(open(&archive, &sealed, 70_000..70_010), Err(Damage::Segment(1)));
    }

    #[test]
    fn the_last_flag_is_part_of_the_seal() {
        let key = Secret::draw().unwrap();
        let new = |len| {
            BlobCipher::new(
                &key,
                Area::Archive,
                BlobId::from_bytes([1; 16]),
                KeyId::from_bytes([2; 16]),
                len,
            )
            .unwrap()
        };
        let long = new(2 * SEGMENT);
        let sealed = seal(&long, &plain(2 * SEGMENT as usize));
        let mut segment = sealed[HEADER as usize..][..65_552].to_vec();
        assert!(
            !long.open(0, true, &mut segment),
            "the first of two cannot pass for the only one"
        );
        assert!(long.open(0, false, &mut segment));
        // a reference that claims fewer bytes fails as well: its header is another
        assert!(open(&new(SEGMENT), &sealed, 0..10).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_range_is_read_through_exactly_its_segments(len in 0_u64..400_000, a in 0_u64..400_000, b in 0_u64..400_000) {
            let (start, end) = (a.min(b).min(len), a.max(b).min(len));
            let window = Window::of(len, &(start..end)).unwrap();
            let first = window.first;
            let last = if window.sealed.end == sealed_len(len).unwrap() { segments(len) - 1 } else {
                (window.sealed.end - HEADER) / SEALED_SEGMENT - 1
            };
            prop_assert!(first * SEGMENT <= start && end <= (last + 1) * SEGMENT);
            if start < end {
                prop_assert!(start < (first + 1) * SEGMENT, "no segment before the range");
                prop_assert!(last * SEGMENT < end, "no segment behind the range");
            }
            prop_assert_eq!(window.sealed.start == 0, first == 0);
            prop_assert_eq!(window.take as u64, end - start);
            prop_assert_eq!(first * SEGMENT + window.skip as u64, start);
        }

        #[test]
        fn what_is_read_is_what_was_sealed(len in 0_usize..200_000, a in 0_usize..200_000, b in 0_usize..200_000) {
            let (start, end) = (a.min(b).min(len), a.max(b).min(len));
            let cipher = cipher(Area::Archive, len);
            let plain = plain(len);
            let opened = open(&cipher, &seal(&cipher, &plain), start as u64..end as u64).unwrap();
            prop_assert_eq!(opened, &plain[start..end]);
        }

        #[test]
        fn any_flipped_bit_is_found_and_placed(len in 1_usize..200_000, at in 0_usize..1_000_000, bit in 0_u8..8) {
            let cipher = cipher(Area::Archive, len);
            let mut sealed = seal(&cipher, &plain(len));
            let at = at % sealed.len();
            sealed[at] ^= 1 << bit;
            let found = open(&cipher, &sealed, 0..len as u64).unwrap_err();
            if at < HEADER as usize {
                prop_assert_eq!(found, Damage::Header);
            } else {
                prop_assert_eq!(found, Damage::Segment((at as u64 - HEADER) / SEALED_SEGMENT));
            }
        }

        #[test]
        fn a_cut_end_is_found_wherever_it_is(len in 0_usize..200_000, keep in 0_usize..1_000_000) {
            let cipher = cipher(Area::Archive, len);
            let sealed = seal(&cipher, &plain(len));
            let keep = keep % sealed.len();
            prop_assert_eq!(open(&cipher, &sealed[..keep], 0..len as u64), Err(Damage::CutOff));
        }
    }
}
