//! What the module promises, on objects made here, on mutations of them, and on the sample files where they are present.

use std::time::{Duration, Instant};

use dicom_core::{Tag, VR};
use dicom_object::InMemDicomObject;
use proptest::prelude::*;

use super::*;
use crate::uid::{TransferSyntaxUid, transfer_syntax as ts};

mod files;

fn uid(text: &str) -> TransferSyntaxUid {
    TransferSyntaxUid::parse(text).unwrap()
}

/// Writes elements by hand, so that tests do not believe the writer.
#[derive(Clone)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn new() -> Self {
        Self(Vec::new())
    }
    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
    fn tag(self, group: u16, element: u16) -> Self {
        self.raw(&group.to_le_bytes()).raw(&element.to_le_bytes())
    }
    fn short(self, group: u16, element: u16, vr: &[u8; 2], value: &[u8]) -> Self {
        let len = u16::try_from(value.len()).unwrap();
        self.tag(group, element).raw(vr).raw(&len.to_le_bytes()).raw(value)
    }
    fn long(self, group: u16, element: u16, vr: &[u8; 2], len: u32, value: &[u8]) -> Self {
        self.tag(group, element)
            .raw(vr)
            .raw(&[0, 0])
            .raw(&len.to_le_bytes())
            .raw(value)
    }
    fn item(self, element: u16, len: u32, value: &[u8]) -> Self {
        self.tag(0xFFFE, element).raw(&len.to_le_bytes()).raw(value)
    }
    fn implicit(self, group: u16, element: u16, value: &[u8]) -> Self {
        let len = u32::try_from(value.len()).unwrap();
        self.tag(group, element).raw(&len.to_le_bytes()).raw(value)
    }
}

fn head() -> Bytes {
    Bytes::new()
        .short(0x0008, 0x0005, b"CS", b"ISO_IR 192")
        .short(0x0008, 0x0016, b"UI", b"1.2.840.10008.5.1.4.1.1.7\0")
        .short(0x0008, 0x0018, b"UI", b"1.2.3.4\0")
        .short(0x0010, 0x0010, b"PN", "Müller ".as_bytes())
}

fn image() -> Bytes {
    head()
        .short(0x0028, 0x0010, b"US", &2u16.to_le_bytes())
        .short(0x0028, 0x0011, b"US", &2u16.to_le_bytes())
        .long(0x7FE0, 0x0010, b"OW", 8, &[1, 0, 2, 0, 3, 0, 4, 0])
}

fn encapsulated() -> Bytes {
    head()
        .long(0x7FE0, 0x0010, b"OB", u32::MAX, &[])
        .item(0xE000, 4, &0u32.to_le_bytes())
        .item(0xE000, 6, b"abcdef")
        .item(0xE000, 2, b"gh")
        .item(0xE0DD, 0, &[])
        .long(0x7FE1, 0x1010, b"OB", 2, b"zz")
}

fn explicit(bytes: &[u8]) -> Result<Layout, Error> {
    layout_data_set(&bytes, &uid(ts::EXPLICIT_VR_LITTLE_ENDIAN), &Limits::default())
}

fn object(bytes: &[u8]) -> InMemDicomObject {
    let layout = explicit(bytes).unwrap();
    read_header(&bytes, &layout, &Limits::default()).unwrap()
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object.get(tag).unwrap().to_str().unwrap().into_owned()
}

fn file(data_set: &Bytes, transfer_syntax: &str) -> Vec<u8> {
    let meta = NewFileMeta {
        sop_class_uid: "1.2.840.10008.5.1.4.1.1.7",
        sop_instance_uid: "1.2.3.4",
        transfer_syntax_uid: &uid(transfer_syntax),
        source_ae_title: None,
    };
    Bytes(write_file_meta(&meta)).raw(&data_set.0).0
}

#[test]
fn the_pixel_data_are_found_and_the_rest_is_the_header() {
    let bytes = image().short(0x7FE1, 0x0010, b"LO", b"MAKER ").0;
    let layout = explicit(&bytes).unwrap();
    let pixels = layout.pixel_data.clone().unwrap();
    let PixelData::Native {
        vr,
        value_offset,
        value_len,
        ..
    } = pixels
    else {
        panic!("native")
    };
    assert_eq!((vr, value_len), (VR::OW, 8));
    assert_eq!(bytes[value_offset as usize], 1);
    assert_eq!(layout.tail_offset, Some(value_offset + 8));
    let header = object(&bytes);
    assert!(header.get(Tag(0x7FE0, 0x0010)).is_none());
    assert_eq!(text(&header, Tag(0x7FE1, 0x0010)), "MAKER");
    assert_eq!(text(&header, Tag(0x0010, 0x0010)), "Müller");
}

#[test]
fn fragments_and_the_offset_table_are_listed() {
    let layout = explicit(&encapsulated().0).unwrap();
    let Some(PixelData::Encapsulated {
        basic_offset_table,
        fragments,
        end_offset,
        ..
    }) = layout.pixel_data
    else {
        panic!("encapsulated")
    };
    assert_eq!(basic_offset_table, [0]);
    assert_eq!(fragments.iter().map(|f| f.len).collect::<Vec<_>>(), [6, 2]);
    assert_eq!(layout.tail_offset, Some(end_offset));
}

#[test]
fn an_object_cut_off_anywhere_is_cut_off_or_whole_up_to_there() {
    for whole in [image().0, encapsulated().0] {
        let pixels = explicit(&whole).unwrap().pixel_data.unwrap().element_offset() as usize;
        let end = explicit(&whole).unwrap().pixel_data.unwrap().end_offset() as usize;
        for n in 0..end {
            match explicit(&whole[..n]) {
                Err(Error::CutOff { .. }) => {}
                // between two fragments: told, since nobody can say whether more should follow
                Ok(Layout {
                    pixel_data: Some(PixelData::Encapsulated { unterminated, .. }),
                    ..
                }) => assert!(unterminated, "{n}"),
                Ok(layout) => assert!(
                    n <= pixels && layout.pixel_data.is_none() && layout.trailing_bytes == 0,
                    "{n}"
                ),
                Err(other) => panic!("{n}: {other}"),
            }
        }
    }
}

#[test]
fn a_declared_length_of_four_gigabytes_costs_nothing() {
    let bytes = head().long(0x0011, 0x1010, b"UN", 0xF000_0000, b"x").0;
    let begin = Instant::now();
    assert!(matches!(explicit(&bytes), Err(Error::CutOff { .. })));
    assert!(begin.elapsed() < Duration::from_millis(100));
    // the same one level down, in an item that claims to hold it
    let inner = Bytes::new().long(0x0011, 0x1010, b"UN", 0xF000_0000, b"x").0;
    let bytes = head()
        .long(0x0040, 0x0275, b"SQ", u32::MAX, &[])
        .item(0xE000, u32::MAX, &inner)
        .0;
    assert!(matches!(explicit(&bytes), Err(Error::CutOff { .. })));
}

#[test]
fn sequences_beyond_the_depth_are_refused_however_their_lengths_are_written() {
    let mut deep = Vec::new();
    let mut defined = Vec::new();
    for _ in 0..300 {
        deep = Bytes::new()
            .long(0x0040, 0xA730, b"SQ", u32::MAX, &[])
            .item(0xE000, u32::MAX, &deep)
            .0;
        let item = Bytes::new().item(0xE000, defined.len() as u32, &defined).0;
        defined = Bytes::new().long(0x0040, 0xA730, b"SQ", item.len() as u32, &item).0;
    }
    let limit = Limits::default().depth;
    assert_eq!(explicit(&head().raw(&deep).0), Err(Error::TooDeep { limit }));
    assert_eq!(explicit(&head().raw(&defined).0), Err(Error::TooDeep { limit }));
}

#[test]
fn a_flood_of_empty_elements_is_refused() {
    let limits = Limits {
        items: 1000,
        ..Limits::default()
    };
    let mut bytes = head();
    bytes = bytes.long(0x0040, 0x0275, b"SQ", u32::MAX, &[]);
    for _ in 0..1001 {
        bytes = bytes.item(0xE000, 0, &[]);
    }
    let bytes = bytes.item(0xE0DD, 0, &[]).0;
    let layout = layout_data_set(&bytes, &uid(ts::EXPLICIT_VR_LITTLE_ENDIAN), &limits);
    assert!(matches!(layout, Err(Error::TooLarge { .. })));
    assert!(explicit(&bytes).is_ok());
}

/// A source far larger than memory: zeros, but for what is written at the front and the back.
struct Sparse {
    front: Vec<u8>,
    back: Vec<u8>,
    len: u64,
    read: std::sync::atomic::AtomicU64,
}

impl ByteSource for Sparse {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        self.read
            .fetch_add(buf.len() as u64, std::sync::atomic::Ordering::Relaxed);
        let back = self.len - self.back.len() as u64;
        for (i, byte) in buf.iter_mut().enumerate() {
            let at = offset + i as u64;
            *byte = if at >= back {
                self.back[(at - back) as usize]
            } else {
                usize::try_from(at)
                    .ok()
                    .and_then(|at| self.front.get(at))
                    .copied()
                    .unwrap_or(0)
            };
        }
        Ok(())
    }
}

#[test]
fn gigabytes_of_fragments_are_passed_over_without_being_read() {
    let front = head()
        .long(0x7FE0, 0x0010, b"OB", u32::MAX, &[])
        .item(0xE000, 0, &[])
        .item(0xE000, 0xF000_0000, &[])
        .0;
    let back = Bytes::new().item(0xE0DD, 0, &[]).short(0xFFFC, 0xFFFC, b"LO", b"").0;
    let len = front.len() as u64 + 0xF000_0000 + back.len() as u64;
    let source = Sparse {
        front,
        back,
        len,
        read: 0.into(),
    };
    let layout = layout_data_set(&source, &uid("1.2.840.10008.1.2.4.90"), &Limits::default()).unwrap();
    assert!(matches!(layout.pixel_data, Some(PixelData::Encapsulated { ref fragments, .. }) if fragments.len() == 1));
    assert!(source.read.into_inner() < 100_000);
}

#[test]
fn files_without_preamble_or_meta_are_read_and_named_so() {
    let whole = file(&image(), ts::EXPLICIT_VR_LITTLE_ENDIAN);
    let limits = Limits::default();
    assert_eq!(layout_part10(&whole, &limits).unwrap().form, Part10Form::Full);
    for start in [128, 132] {
        let layout = layout_part10(&&whole[start..], &limits).unwrap();
        assert_eq!(layout.form, Part10Form::NoPreamble);
        assert!(layout.pixel_data.is_some());
    }
    let bare = layout_part10(&image().0, &limits).unwrap();
    assert_eq!(
        (bare.form, bare.transfer_syntax_uid.as_str()),
        (Part10Form::NoMeta, ts::EXPLICIT_VR_LITTLE_ENDIAN)
    );
    let implicit = Bytes::new()
        .implicit(0x0008, 0x0005, b"ISO_IR 100")
        .implicit(0x0010, 0x0020, b"12");
    let bare = layout_part10(&implicit.0, &limits).unwrap();
    assert_eq!(bare.transfer_syntax_uid.as_str(), ts::IMPLICIT_VR_LITTLE_ENDIAN);
}

#[test]
fn what_is_no_dicom_is_said_to_be_none() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and so on, and so on, and so on".to_vec();
    let html = b"<!DOCTYPE html><html><body>It works</body></html>".to_vec();
    for bytes in [Vec::new(), vec![0; 4], vec![0; 4096], png, html, vec![0xFF; 300]] {
        assert_eq!(layout_part10(&bytes, &Limits::default()).err(), Some(Error::NotDicom));
    }
}

#[test]
fn an_ae_title_of_eighteen_spaces_and_a_lying_group_length_are_read_over() {
    let bytes = Bytes(vec![0; 128])
        .raw(b"DICM")
        .short(2, 0, b"UL", &9999u32.to_le_bytes())
        .short(2, 0x10, b"UI", b"1.2.840.10008.1.2.1\0")
        .short(2, 0x16, b"AE", &[b' '; 18])
        .raw(&image().0)
        .0;
    let layout = layout_part10(&bytes, &Limits::default()).unwrap();
    assert_eq!(layout.meta.source_application_entity_title, None);
    assert_eq!(layout.transfer_syntax_uid.as_str(), ts::EXPLICIT_VR_LITTLE_ENDIAN);
    assert!(layout.pixel_data.is_some());
}

#[test]
fn a_missing_transfer_syntax_is_guessed() {
    let meta = Bytes(vec![0; 128]).raw(b"DICM").short(2, 3, b"UI", b"1.2.3\0");
    let layout = layout_part10(&meta.clone().raw(&image().0).0, &Limits::default()).unwrap();
    assert_eq!(layout.transfer_syntax_uid.as_str(), ts::EXPLICIT_VR_LITTLE_ENDIAN);
    let nothing = layout_part10(&meta.0, &Limits::default());
    assert!(matches!(nothing, Err(Error::Malformed { .. })));
}

#[test]
fn a_data_set_written_otherwise_than_labelled_is_read_as_written_and_marked() {
    let implicit = Bytes::new()
        .implicit(0x0008, 0x0005, b"ISO_IR 100")
        .implicit(0x0010, 0x0020, b"12")
        .0;
    let layout = explicit(&implicit).unwrap();
    assert!(layout.mislabelled);
    assert_eq!(text(&object(&implicit), Tag(0x0010, 0x0020)), "12");
    let labelled = layout_data_set(&image().0, &uid(ts::IMPLICIT_VR_LITTLE_ENDIAN), &Limits::default()).unwrap();
    assert!(labelled.mislabelled && labelled.pixel_data.is_some());
    assert!(!explicit(&image().0).unwrap().mislabelled);
}

#[test]
fn what_follows_the_last_element_is_counted_and_padding_is_an_element() {
    let garbage = image().raw(&[0xDE, 0xAD, 0xBE, 0xEF].repeat(8));
    assert_eq!(explicit(&garbage.0).unwrap().trailing_bytes, 32);
    let zeros = image().raw(&[0; 100]);
    assert_eq!(explicit(&zeros.0).unwrap().trailing_bytes, 100);
    let padded = image().long(0xFFFC, 0xFFFC, b"OB", 6, &[0; 6]);
    let layout = explicit(&padded.0).unwrap();
    assert_eq!(layout.trailing_bytes, 0);
    assert!(layout.tail_offset.is_some());
}

#[test]
fn unknown_value_representations_become_un_and_nothing_after_them_is_lost() {
    for head_of_unknown in [
        Bytes::new().short(0x0011, 0x1010, b"ZZ", b"ab"),
        Bytes::new().long(0x0011, 0x1010, b"ZZ", 2, b"ab"),
        Bytes::new().short(0x0011, 0x1010, b"??", b"ab"),
        Bytes::new().implicit(0x0011, 0x1010, b"ab"),
    ] {
        let bytes = Bytes::new()
            .raw(&head_of_unknown.0)
            .short(0x0012, 0x0063, b"LO", b"here")
            .0;
        let object = object(&head().raw(&bytes).0);
        let unknown = object.get(Tag(0x0011, 0x1010)).unwrap();
        assert_eq!(
            (unknown.vr(), unknown.to_bytes().unwrap().as_ref()),
            (VR::UN, &b"ab"[..])
        );
        assert_eq!(text(&object, Tag(0x0012, 0x0063)), "here");
    }
}

#[test]
fn un_is_replaced_by_what_the_dictionary_knows() {
    let item = Bytes::new().implicit(0x0010, 0x0020, b"id").0;
    let sequence = Bytes::new().item(0xE000, item.len() as u32, &item).0;
    let bytes = head()
        .long(0x0010, 0x0020, b"UN", 4, b"1234")
        .long(0x0010, 0x1002, b"UN", sequence.len() as u32, &sequence)
        .long(0x0028, 0x0010, b"UN", 2, &[7, 0])
        .long(0x0040, 0x0275, b"UN", 3, b"abc")
        .0;
    let object = object(&bytes);
    assert_eq!(text(&object, Tag(0x0010, 0x0020)), "1234");
    let items = object.get(Tag(0x0010, 0x1002)).unwrap().items().unwrap();
    assert_eq!(text(&items[0], Tag(0x0010, 0x0020)), "id");
    assert_eq!(object.get(Tag(0x0028, 0x0010)).unwrap().to_int::<u16>().unwrap(), 7);
    // named a sequence by the dictionary, but holding none: kept as it is
    assert_eq!(object.get(Tag(0x0040, 0x0275)).unwrap().vr(), VR::UN);
}

#[test]
fn a_number_of_odd_length_keeps_its_bytes() {
    let object = object(&head().short(0x0028, 0x0010, b"US", &[1, 2, 3]).0);
    let element = object.get(Tag(0x0028, 0x0010)).unwrap();
    assert_eq!(
        (element.vr(), element.to_bytes().unwrap().as_ref()),
        (VR::UN, &[1, 2, 3][..])
    );
}

#[test]
fn what_is_written_reads_the_same_in_every_native_syntax() {
    let item = Bytes::new()
        .short(0x0008, 0x0100, b"SH", b"CODE")
        .short(0x0028, 0x0106, b"US", &[1, 0])
        .0;
    let sequence = Bytes::new().item(0xE000, item.len() as u32, &item).0;
    let bytes = head()
        .long(0x0008, 0x1140, b"SQ", sequence.len() as u32, &sequence)
        .short(0x0018, 0x0050, b"DS", b"1.50")
        .short(0x0018, 0x9087, b"FD", &1.5f64.to_le_bytes())
        .short(0x0028, 0x0009, b"AT", &[0x18, 0, 0x63, 0x10])
        .short(0x0028, 0x0010, b"US", &[2, 0])
        .long(0x6000, 0x3000, b"OW", 4, &[1, 2, 3, 4])
        .long(0x7FE0, 0x0010, b"OW", 8, &[1, 0, 2, 0, 3, 0, 4, 0])
        .short(0x7FE1, 0x0010, b"LO", b"MAKER ")
        .0;
    let before = object(&bytes);
    for syntax in [
        ts::EXPLICIT_VR_LITTLE_ENDIAN,
        ts::EXPLICIT_VR_BIG_ENDIAN,
        ts::IMPLICIT_VR_LITTLE_ENDIAN,
    ] {
        let syntax = uid(syntax);
        let written = write_header(&before, &syntax).unwrap();
        let pixels = write_native_pixel_header(Tag(0x7FE0, 0x0010), VR::OW, 2, &syntax).unwrap();
        let again = [written.before.clone(), pixels, vec![0, 0], written.after.clone()].concat();
        let layout = layout_data_set(&again, &syntax, &Limits::default()).unwrap();
        assert!(layout.pixel_data.is_some() && layout.tail_offset.is_some());
        let after = read_header(&again, &layout, &Limits::default()).unwrap();
        let texts = |o: &InMemDicomObject| {
            o.iter()
                .map(|e| format!("{:?} {:?}", e.header().tag, e.value()))
                .collect::<Vec<_>>()
        };
        // lengths of sequences are written anew; values must be the same
        let strip = |v: Vec<String>| v.into_iter().map(|t| t.replace("4294967295", "")).collect::<Vec<_>>();
        assert_eq!(strip(texts(&after)).len(), strip(texts(&before)).len());
        assert_eq!(write_header(&after, &syntax).unwrap(), written);
        assert_eq!(text(&after, Tag(0x0010, 0x0010)), "Müller");
    }
}

#[test]
fn text_that_its_set_lacks_turns_the_object_to_utf_8() {
    let mut object = object(&head().0);
    let put = |o: &mut InMemDicomObject, tag, vr, value: &str| {
        o.put(dicom_object::mem::InMemElement::new(tag, vr, value));
    };
    put(&mut object, Tag(0x0008, 0x0005), VR::CS, "ISO_IR 100");
    let plain = write_header(&object, &uid(ts::EXPLICIT_VR_LITTLE_ENDIAN))
        .unwrap()
        .before;
    assert!(plain.windows(6).any(|w| w == b"M\xfcller"));
    put(&mut object, Tag(0x0010, 0x0010), VR::PN, "山田^太郎");
    let written = write_header(&object, &uid(ts::EXPLICIT_VR_LITTLE_ENDIAN))
        .unwrap()
        .before;
    let again = self::object(&written);
    assert_eq!(text(&again, Tag(0x0008, 0x0005)), "ISO_IR 192");
    assert_eq!(text(&again, Tag(0x0010, 0x0010)), "山田^太郎");
}

#[test]
fn big_endian_samples_turn_as_whole_samples() {
    let mut bytes = [1, 2, 3, 4, 5, 6, 7, 8];
    swap_native(VR::OW, 32, &mut bytes);
    assert_eq!(bytes, [4, 3, 2, 1, 8, 7, 6, 5]);
    swap_native(VR::OB, 8, &mut bytes);
    assert_eq!(bytes, [4, 3, 2, 1, 8, 7, 6, 5]);
    swap_native(VR::OW, 8, &mut bytes);
    assert_eq!(bytes, [3, 4, 1, 2, 7, 8, 5, 6]);
}

fn deflated(data_set: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data_set).unwrap();
    file(
        &Bytes(encoder.finish().unwrap()),
        ts::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    )
}

#[test]
fn a_deflated_object_is_read_and_a_bomb_is_not() {
    let bytes = deflated(&image().0);
    let limits = Limits::default();
    let layout = layout_part10(&bytes, &limits).unwrap();
    let header = read_header(&bytes, &layout, &limits).unwrap();
    assert_eq!(text(&header, Tag(0x0010, 0x0010)), "Müller");
    assert_eq!(inflate(&bytes, &layout, &limits).unwrap(), image().0);
    let cut = &bytes[..bytes.len() - 4];
    assert!(matches!(inflate(&cut, &layout, &limits), Err(Error::CutOff { .. })));
    let small = Limits {
        inflated_bytes: 100_000,
        ..limits
    };
    let bomb = deflated(&head().long(0x7FE0, 0x0010, b"OW", 10_000_000, &vec![0; 10_000_000]).0);
    let layout = layout_part10(&bomb, &small).unwrap();
    assert_eq!(
        read_header(&bomb, &layout, &small).err(),
        Some(Error::TooLarge {
            what: "inflated data set",
            limit: 100_000
        })
    );
}

fn read_all(bytes: &[u8]) -> Result<(Layout, InMemDicomObject), Error> {
    let limits = Limits {
        items: 100_000,
        header_bytes: 1 << 20,
        inflated_bytes: 1 << 20,
        ..Limits::default()
    };
    let layout = layout_part10(&bytes, &limits)?;
    let object = read_header(&bytes, &layout, &limits)?;
    Ok((layout, object))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Bytes changed, removed or doubled anywhere: never a panic, never slow, and what reads can be written and read again.
    #[test]
    fn mutations_never_panic_and_what_reads_can_be_written(
        which in 0..4usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..6),
    ) {
        let item = Bytes::new().short(0x0008, 0x0100, b"SH", b"CODE").0;
        let nested = head()
            .long(0x0008, 0x1140, b"SQ", u32::MAX, &[])
            .item(0xE000, item.len() as u32, &item).item(0xE000, u32::MAX, &item).item(0xE00D, 0, &[]).item(0xE0DD, 0, &[])
            .long(0x0011, 0x1010, b"UN", u32::MAX, &[]).item(0xE0DD, 0, &[]);
        let mut bytes = match which {
            0 => file(&image(), ts::EXPLICIT_VR_LITTLE_ENDIAN),
            1 => file(&encapsulated(), "1.2.840.10008.1.2.4.50"),
            2 => file(&nested, ts::EXPLICIT_VR_LITTLE_ENDIAN),
            _ => file(&Bytes::new().implicit(0x0008, 0x0018, b"1.2.3\0").implicit(0x0008, 0x1140, &Bytes::new().item(0xE000, 0, &[]).0), ts::IMPLICIT_VR_LITTLE_ENDIAN),
        };
        for (index, byte, kind) in changes {
            let at = 128 + index.index(bytes.len() - 128);
            match kind {
                0 => bytes[at] = byte,
                1 => { bytes.remove(at); }
                _ => bytes.insert(at, byte),
            }
        }
        let begin = Instant::now();
        if let Ok((layout, object)) = read_all(&bytes) {
            if let Some(pixels) = &layout.pixel_data {
                prop_assert!(pixels.end_offset() <= bytes.len() as u64);
            }
            let explicit = uid(ts::EXPLICIT_VR_LITTLE_ENDIAN);
            let written = write_header(&object, &explicit).unwrap();
            let layout = layout_data_set(&written.before, &explicit, &Limits::default()).unwrap();
            read_header(&written.before, &layout, &Limits::default()).unwrap();
        }
        prop_assert!(begin.elapsed() < Duration::from_secs(1));
    }
}
