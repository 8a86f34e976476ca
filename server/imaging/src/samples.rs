//! Facts for tests, and the sample files where they are present.

use std::path::PathBuf;

use dicom_object::InMemDicomObject;
use isocenter_model::TransferSyntaxUid;
use isocenter_model::part10::{Layout, Limits, inflate, layout_data_set, layout_part10, read_header};

use crate::{Photometric, PixelFacts};

/// Gray pixels of one frame.
pub(crate) fn facts(rows: u16, columns: u16, bits: u16) -> PixelFacts {
    PixelFacts {
        rows,
        columns,
        samples_per_pixel: 1,
        bits_allocated: bits,
        bits_stored: bits,
        high_bit: bits - 1,
        pixel_representation: 0,
        photometric_interpretation: Photometric::Monochrome2,
        planar_configuration: 0,
        number_of_frames: 1,
        float: false,
        rescale: None,
        modality_lut: None,
        windows: Vec::new(),
        voi_lut: None,
        padding: None,
        palette: None,
        extended_offsets: Vec::new(),
    }
}

pub(crate) fn folder() -> Option<PathBuf> {
    let root = std::env::var_os("ISOCENTER_TEST_DATA")
        .map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
            PathBuf::from,
        )
        .join("dicom");
    if root.join("MANIFEST.csv").exists() {
        return Some(root);
    }
    eprintln!("left out: ../shared/data is absent");
    None
}

/// A sample file, laid out; a deflated one is inflated.
pub(crate) struct Sample {
    pub(crate) bytes: Vec<u8>,
    pub(crate) layout: Layout,
    pub(crate) header: InMemDicomObject,
}

pub(crate) fn open(bytes: Vec<u8>) -> Option<Sample> {
    let limits = Limits::default();
    let mut layout = layout_part10(&bytes, &limits).ok()?;
    let mut bytes = bytes;
    if layout.transfer_syntax_uid.is_deflated() {
        bytes = inflate(&bytes, &layout, &limits).ok()?;
        layout = layout_data_set(
            &bytes,
            &TransferSyntaxUid::parse("1.2.840.10008.1.2.1").unwrap(),
            &limits,
        )
        .ok()?;
    }
    let header = read_header(&bytes, &layout, &limits).ok()?;
    Some(Sample { bytes, layout, header })
}

mod files;
