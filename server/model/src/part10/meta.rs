//! The file meta group, PS3.10 section 7.1, read tolerantly.
//!
//! Its group length is not believed: the group ends where the tags leave it. No value is refused for its length. Where
//! no usable transfer syntax is named, the first element of the data set tells it.

use dicom_core::dictionary::VirtualVr;
use dicom_core::{Tag, VR};

use super::Error;
use super::element::{Head, NoHead, Syntax, head, known_vr};
use super::layout::Part10Form;
use super::window::Window;
use crate::uid::{TransferSyntaxUid, transfer_syntax as ts};

/// What the file meta group says, as text without padding; nothing is checked but that it is text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileMeta {
    /// (0002,0002)
    pub media_storage_sop_class_uid: Option<String>,
    /// (0002,0003)
    pub media_storage_sop_instance_uid: Option<String>,
    /// (0002,0010)
    pub transfer_syntax_uid: Option<String>,
    /// (0002,0012)
    pub implementation_class_uid: Option<String>,
    /// (0002,0013)
    pub implementation_version_name: Option<String>,
    /// (0002,0016)
    pub source_application_entity_title: Option<String>,
}

/// Where the data set begins and how to read it.
pub(super) struct Start {
    pub(super) form: Part10Form,
    pub(super) meta: FileMeta,
    pub(super) transfer_syntax_uid: TransferSyntaxUid,
    pub(super) data_set_offset: u64,
}

/// Values longer than this are passed over: nothing that is wanted is that long.
const LONGEST: u32 = 1024;
/// A meta group of more elements than this is none.
const MOST_ELEMENTS: u32 = 1024;

pub(super) fn read(window: &mut Window<'_>) -> Result<Start, Error> {
    let (form, start) = if window.peek(128, 4)? == Some(b"DICM") {
        (Part10Form::Full, 132)
    } else if window.peek(0, 4)? == Some(b"DICM") {
        (Part10Form::NoPreamble, 4)
    } else {
        (Part10Form::NoPreamble, 0)
    };
    let (meta, data_set_offset) = read_group(window, start)?;
    let form = if data_set_offset == start && form == Part10Form::NoPreamble {
        Part10Form::NoMeta
    } else {
        form
    };
    let named = meta
        .transfer_syntax_uid
        .as_deref()
        .and_then(|uid| TransferSyntaxUid::parse(uid).ok());
    let transfer_syntax_uid = match named {
        Some(uid) => uid,
        None => guess(window, data_set_offset, form)?,
    };
    Ok(Start {
        form,
        meta,
        transfer_syntax_uid,
        data_set_offset,
    })
}

/// Reads group 0002 from `start`; returns where it ends, which is `start` where there is none.
fn read_group(window: &mut Window<'_>, start: u64) -> Result<(FileMeta, u64), Error> {
    let mut meta = FileMeta::default();
    let end = window.len();
    let mut at = start;
    for _ in 0..MOST_ELEMENTS {
        let Some(bytes) = window.peek(at, 8)? else {
            // a file that ends inside of its meta group; an empty data set after it is seen by the caller
            let left = end.saturating_sub(at);
            return if left == 0 || at == start {
                Ok((meta, at))
            } else {
                Err(Error::CutOff { offset: at })
            };
        };
        let tag = Syntax::EXPLICIT_LITTLE.tag(bytes);
        if tag.0 != 2 {
            return Ok((meta, at));
        }
        // some write the group with implicit VR
        let lettered = bytes.get(4..6).is_some_and(|vr| vr.iter().all(u8::is_ascii_uppercase));
        let syntax = if lettered {
            Syntax::EXPLICIT_LITTLE
        } else {
            Syntax::IMPLICIT_LITTLE
        };
        let head = match head(window, at, end, syntax)? {
            Ok(head) => head,
            Err(NoHead::Short) => return Err(Error::CutOff { offset: at }),
            Err(NoHead::Nonsense) => {
                return Err(Error::Malformed {
                    offset: at,
                    reason: "no element in the file meta group",
                });
            }
        };
        if head.is_undefined() {
            return Err(Error::Malformed {
                offset: at,
                reason: "undefined length in the file meta group",
            });
        }
        if head.end() > end {
            return Err(Error::CutOff { offset: at });
        }
        let field = match tag.1 {
            0x0002 => &mut meta.media_storage_sop_class_uid,
            0x0003 => &mut meta.media_storage_sop_instance_uid,
            0x0010 => &mut meta.transfer_syntax_uid,
            0x0012 => &mut meta.implementation_class_uid,
            0x0013 => &mut meta.implementation_version_name,
            0x0016 => &mut meta.source_application_entity_title,
            _ => {
                at = head.end();
                continue;
            }
        };
        if head.len <= LONGEST {
            *field = text(window, &head)?;
        }
        at = head.end();
    }
    Err(Error::TooLarge {
        what: "elements of the file meta group",
        limit: u64::from(MOST_ELEMENTS),
    })
}

fn text(window: &mut Window<'_>, head: &Head) -> Result<Option<String>, Error> {
    let bytes = window.value(head.value_offset, head.len)?;
    let text: String = bytes.iter().map(|b| char::from(*b)).collect();
    let text = text.trim_matches(|c: char| c == '\0' || c == ' ');
    Ok(if text.is_empty() { None } else { Some(text.to_owned()) })
}

/// Tells the transfer syntax from the first element. Native pixels are assumed: a sender who encapsulates and does not
/// say how cannot be helped.
fn guess(window: &mut Window<'_>, at: u64, form: Part10Form) -> Result<TransferSyntaxUid, Error> {
    let none = match form {
        Part10Form::NoMeta => Error::NotDicom,
        _ => Error::Malformed {
            offset: at,
            reason: "no transfer syntax named and none to be guessed",
        },
    };
    let uid = match possible(window, at)?.first() {
        Some(&Syntax::EXPLICIT_LITTLE) => ts::EXPLICIT_VR_LITTLE_ENDIAN,
        Some(&Syntax::EXPLICIT_BIG) => ts::EXPLICIT_VR_BIG_ENDIAN,
        Some(_) => ts::IMPLICIT_VR_LITTLE_ENDIAN,
        None => return Err(none),
    };
    TransferSyntaxUid::parse(uid).map_err(|_| none)
}

/// Returns how the data set at `at` is written: as declared, unless its first element reads in another way only.
pub(super) fn as_written(window: &mut Window<'_>, at: u64, declared: Syntax) -> Result<Syntax, Error> {
    let possible = possible(window, at)?;
    Ok(match possible.first() {
        Some(other) if !possible.contains(&declared) => *other,
        _ => declared,
    })
}

/// Returns the ways in which the first element of an instance's data set can be read. An implicit length whose lower
/// half is a value representation would be one of 16 thousand bytes or more: no first element is.
fn possible(window: &mut Window<'_>, at: u64) -> Result<Vec<Syntax>, Error> {
    let Some(bytes) = window.peek(at, 8)?.and_then(|b| b.first_chunk::<8>()).copied() else {
        return Ok(Vec::new());
    };
    let explicit = bytes
        .get(4..6)
        .and_then(|b| b.first_chunk::<2>())
        .is_some_and(|vr| VR::from_binary(*vr).is_some());
    let candidates = [
        (Syntax::EXPLICIT_LITTLE, explicit),
        (Syntax::EXPLICIT_BIG, explicit),
        (Syntax::IMPLICIT_LITTLE, !explicit),
    ];
    let mut found = Vec::new();
    for (syntax, lettered) in candidates {
        if lettered && begins_a_data_set(syntax.tag(&bytes)) && head_fits(window, at, syntax)? {
            found.push(syntax);
        }
    }
    Ok(found)
}

/// Data sets of instances begin in group 0008; those of directories in 0004.
fn begins_a_data_set(tag: Tag) -> bool {
    let named = tag.1 == 0 || known_vr(tag) != VirtualVr::Exact(VR::UN);
    matches!(tag.0, 0x0004 | 0x0008) && named
}

fn head_fits(window: &mut Window<'_>, at: u64, syntax: Syntax) -> Result<bool, Error> {
    let end = window.len();
    Ok(head(window, at, end, syntax)?.is_ok_and(|head| head.is_undefined() || head.end() <= end))
}
