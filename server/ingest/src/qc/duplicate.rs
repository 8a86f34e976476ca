//! Was the object here before?
//!
//! Most traffic of a busy gateway is sent again: after a failure, after a restart, every night. The question is asked per
//! collection, never across, on a keyed digest of the SOP Instance UID as sent; *same content* is a keyed digest of the
//! data set as received, without what may differ between two ways of writing it (group lengths, file meta, padding,
//! implicit or explicit VR).

use dicom_core::Tag;
use dicom_object::InMemDicomObject;
use isocenter_model::TransferSyntaxUid;
use isocenter_model::part10::{self, ByteSource, Layout, PixelData};
use isocenter_model::uid::transfer_syntax::EXPLICIT_VR_LITTLE_ENDIAN;

const WINDOW: usize = 256 << 10;

fn feed(hasher: &mut blake3::Hasher, source: &dyn ByteSource, mut offset: u64, mut len: u64) -> std::io::Result<()> {
    if let Some(all) = source.as_slice() {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let to = usize::try_from(offset.saturating_add(len)).unwrap_or(usize::MAX);
        let part = all
            .get(from..to)
            .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::UnexpectedEof))?;
        hasher.update(part);
        return Ok(());
    }
    let mut buffer = vec![0u8; WINDOW];
    while len > 0 {
        let take = usize::try_from(len.min(WINDOW as u64)).unwrap_or(WINDOW);
        let Some(window) = buffer.get_mut(..take) else { break };
        source.read_at(offset, window)?;
        hasher.update(window);
        offset += take as u64;
        len -= take as u64;
    }
    Ok(())
}

/// Returns the keyed digest of all bytes, wherever they are staged.
pub(crate) fn bytes_digest(key: &[u8; 32], source: &dyn ByteSource) -> std::io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new_keyed(key);
    feed(&mut hasher, source, 0, source.len())?;
    Ok(*hasher.finalize().as_bytes())
}

/// Returns the keyed digest of the pixel data's bit stream, without item headers and offset table.
pub(crate) fn pixel_digest(key: &[u8; 32], source: &dyn ByteSource, layout: &Layout) -> std::io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new_keyed(key);
    match &layout.pixel_data {
        None => {}
        Some(PixelData::Native {
            value_offset,
            value_len,
            ..
        }) => feed(&mut hasher, source, *value_offset, *value_len)?,
        Some(PixelData::Encapsulated { fragments, .. }) => {
            for fragment in fragments {
                feed(&mut hasher, source, fragment.offset, u64::from(fragment.len))?;
            }
        }
    }
    Ok(*hasher.finalize().as_bytes())
}

/// Returns the keyed digest of the data set as received: the header in Explicit VR Little Endian without group lengths and
/// padding, and the pixel data's bit stream.
pub(crate) fn content_digest(
    key: &[u8; 32],
    header: &InMemDicomObject,
    pixel_digest: &[u8; 32],
) -> Result<[u8; 32], part10::Error> {
    let plain = TransferSyntaxUid::parse(EXPLICIT_VR_LITTLE_ENDIAN).map_err(|_| part10::Error::NotDicom)?;
    let is_noise = |tag: Tag| tag.element() == 0 || tag == Tag(0xFFFC, 0xFFFC) || tag.group() == 2;
    let mut hasher = blake3::Hasher::new_keyed(key);
    if header
        .into_iter()
        .any(|element| is_noise(dicom_core::header::Header::tag(element)))
    {
        let mut bare = header.clone();
        bare.retain(|element| !is_noise(dicom_core::header::Header::tag(element)));
        update(&mut hasher, &part10::write_header(&bare, &plain)?);
    } else {
        update(&mut hasher, &part10::write_header(header, &plain)?);
    }
    hasher.update(pixel_digest);
    Ok(*hasher.finalize().as_bytes())
}

fn update(hasher: &mut blake3::Hasher, written: &part10::WrittenHeader) {
    hasher.update(&written.before);
    hasher.update(&written.after);
}
