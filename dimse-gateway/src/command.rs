//! Command sets, PS3.7 section 6.3 and Annex E: decoded from a request, encoded for a response.
//!
//! A command set is always Implicit VR Little Endian and always small. Nothing here touches a socket; what cannot be
//! decoded is an error with a name, and what is missing is `None`, so that the service can give the right status.

use dicom_core::Tag;
use isocenter_model::{AeTitle, SopClassUid, SopInstanceUid};

use crate::status::Verdict;

/// Largest command set that is accepted. The largest legal ones are a few hundred bytes.
pub const MAX_COMMAND_SET_LENGTH: usize = 64 * 1024;

/// Command Data Set Type that says that no data set follows, PS3.7 E.1.
const NO_DATA_SET: u16 = 0x0101;
/// The bit of a Command Field that makes it a response.
const RESPONSE: u16 = 0x8000;

/// Elements of group 0000, PS3.7 E.1.
mod element {
    pub(super) const GROUP_LENGTH: u16 = 0x0000;
    pub(super) const AFFECTED_SOP_CLASS_UID: u16 = 0x0002;
    pub(super) const COMMAND_FIELD: u16 = 0x0100;
    pub(super) const MESSAGE_ID: u16 = 0x0110;
    pub(super) const MESSAGE_ID_BEING_RESPONDED_TO: u16 = 0x0120;
    pub(super) const COMMAND_DATA_SET_TYPE: u16 = 0x0800;
    pub(super) const STATUS: u16 = 0x0900;
    pub(super) const OFFENDING_ELEMENT: u16 = 0x0901;
    pub(super) const ERROR_COMMENT: u16 = 0x0902;
    pub(super) const AFFECTED_SOP_INSTANCE_UID: u16 = 0x1000;
    pub(super) const MOVE_ORIGINATOR_AE_TITLE: u16 = 0x1030;
    pub(super) const MOVE_ORIGINATOR_MESSAGE_ID: u16 = 0x1031;
}

/// What is asked (0000,0100). The numbers are those of PS3.7 E.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommandField {
    /// C-STORE-RQ.
    CStoreRq,
    /// C-ECHO-RQ.
    CEchoRq,
    /// C-CANCEL-RQ: has no response.
    CCancelRq,
    /// A response. We have asked nothing.
    Response(u16),
    /// Any other request.
    Other(u16),
}

impl CommandField {
    fn from_code(code: u16) -> Self {
        match code {
            0x0001 => Self::CStoreRq,
            0x0030 => Self::CEchoRq,
            0x0FFF => Self::CCancelRq,
            code if code & RESPONSE != 0 => Self::Response(code),
            code => Self::Other(code),
        }
    }

    /// Returns the number on the wire.
    pub fn code(self) -> u16 {
        match self {
            Self::CStoreRq => 0x0001,
            Self::CEchoRq => 0x0030,
            Self::CCancelRq => 0x0FFF,
            Self::Response(code) | Self::Other(code) => code,
        }
    }
}

/// Why bytes are no command set that could be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// An element ends after the bytes do.
    #[error("command set is cut off")]
    CutOff,
    /// An element of another group than 0000.
    #[error("command set holds an element of another group")]
    ForeignGroup,
    /// No Command Field (0000,0100): nobody knows what is asked.
    #[error("command set has no command field")]
    NoCommandField,
    /// No Message ID (0000,0110): nobody would know what is answered.
    #[error("command set has no message id")]
    NoMessageId,
}

/// A UID as it stood in a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field<T> {
    /// Not there, or empty.
    Missing,
    /// There, but no UID.
    Malformed,
    /// There.
    Value(T),
}

impl<T> Field<T> {
    /// Returns the value where there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Missing | Self::Malformed => None,
        }
    }
}

/// The command set of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What is asked.
    pub field: CommandField,
    /// Message ID (0000,0110); of a C-CANCEL-RQ the id that it refers to.
    pub message_id: u16,
    /// Whether a data set follows. A C-STORE-RQ that does not say is taken to have one.
    pub has_data_set: bool,
    /// Affected SOP Class UID (0000,0002).
    pub affected_sop_class_uid: Field<SopClassUid>,
    /// Affected SOP Instance UID (0000,1000).
    pub affected_sop_instance_uid: Field<SopInstanceUid>,
    /// Move Originator Application Entity Title (0000,1030), where the object comes of a C-MOVE.
    pub move_originator_ae_title: Option<AeTitle>,
    /// Move Originator Message ID (0000,1031).
    pub move_originator_message_id: Option<u16>,
}

impl Command {
    /// Decodes a command set. Group length and the order of elements are not relied on; unknown elements are skipped.
    ///
    /// # Errors
    /// When the bytes are cut off, leave group 0000, or lack what an answer needs.
    pub fn decode(bytes: &[u8]) -> Result<Self, CommandError> {
        let mut field = None;
        let mut message_id = None;
        let mut responded_to = None;
        let mut data_set_type = None;
        let mut affected_sop_class_uid = Field::Missing;
        let mut affected_sop_instance_uid = Field::Missing;
        let mut move_originator_ae_title = None;
        let mut move_originator_message_id = None;

        let mut rest = bytes;
        while !rest.is_empty() {
            let (number, value) = next_element(&mut rest)?;
            match number {
                element::COMMAND_FIELD => field = unsigned_short(value).map(CommandField::from_code),
                element::MESSAGE_ID => message_id = unsigned_short(value),
                element::MESSAGE_ID_BEING_RESPONDED_TO => responded_to = unsigned_short(value),
                element::COMMAND_DATA_SET_TYPE => data_set_type = unsigned_short(value),
                element::AFFECTED_SOP_CLASS_UID => affected_sop_class_uid = uid(value, SopClassUid::parse),
                element::AFFECTED_SOP_INSTANCE_UID => affected_sop_instance_uid = uid(value, SopInstanceUid::parse),
                element::MOVE_ORIGINATOR_AE_TITLE => {
                    move_originator_ae_title = std::str::from_utf8(value).ok().and_then(|t| AeTitle::parse(t).ok());
                }
                element::MOVE_ORIGINATOR_MESSAGE_ID => move_originator_message_id = unsigned_short(value),
                _ => {}
            }
        }

        let field = field.ok_or(CommandError::NoCommandField)?;
        let message_id = match field {
            CommandField::CCancelRq | CommandField::Response(_) => responded_to.or(message_id),
            _ => message_id,
        };
        Ok(Self {
            field,
            message_id: message_id.ok_or(CommandError::NoMessageId)?,
            has_data_set: match data_set_type {
                Some(kind) => kind != NO_DATA_SET,
                None => field == CommandField::CStoreRq,
            },
            affected_sop_class_uid,
            affected_sop_instance_uid,
            move_originator_ae_title,
            move_originator_message_id,
        })
    }
}

/// Takes the next element of group 0000 from the front: tag, four bytes of length, value.
fn next_element<'a>(rest: &mut &'a [u8]) -> Result<(u16, &'a [u8]), CommandError> {
    let (head, after) = rest.split_first_chunk::<8>().ok_or(CommandError::CutOff)?;
    let [g0, g1, e0, e1, l0, l1, l2, l3] = *head;
    if u16::from_le_bytes([g0, g1]) != 0 {
        return Err(CommandError::ForeignGroup);
    }
    let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).map_err(|_| CommandError::CutOff)?;
    let (value, after) = after.split_at_checked(length).ok_or(CommandError::CutOff)?;
    *rest = after;
    Ok((u16::from_le_bytes([e0, e1]), value))
}

fn unsigned_short(value: &[u8]) -> Option<u16> {
    value.first_chunk::<2>().map(|bytes| u16::from_le_bytes(*bytes))
}

fn uid<T, E>(value: &[u8], parse: impl Fn(&str) -> Result<T, E>) -> Field<T> {
    if value.iter().all(|b| matches!(b, 0 | b' ')) {
        return Field::Missing;
    }
    let parsed = std::str::from_utf8(value).ok().and_then(|text| parse(text).ok());
    parsed.map_or(Field::Malformed, Field::Value)
}

/// The command set of a response without a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The request's command field; the response's is this with the highest bit set.
    pub request: CommandField,
    /// Message ID Being Responded To (0000,0120).
    pub message_id: u16,
    /// Affected SOP Class UID (0000,0002), repeated from the request where it was one.
    pub affected_sop_class_uid: Option<SopClassUid>,
    /// Affected SOP Instance UID (0000,1000), repeated from the request where it was one.
    pub affected_sop_instance_uid: Option<SopInstanceUid>,
    /// The answer.
    pub verdict: Verdict,
}

impl Response {
    /// Makes the response to a request: its message id and its UIDs, as far as they are UIDs, are repeated.
    pub fn to(command: &Command, verdict: Verdict) -> Self {
        Self {
            request: command.field,
            message_id: command.message_id,
            affected_sop_class_uid: command.affected_sop_class_uid.value().cloned(),
            affected_sop_instance_uid: command.affected_sop_instance_uid.value().cloned(),
            verdict,
        }
    }

    /// Encodes the command set, elements in ascending order, group length first (PS3.7 6.3.1).
    pub fn encode(&self) -> Vec<u8> {
        let mut elements = Vec::with_capacity(256);
        if let Some(uid) = &self.affected_sop_class_uid {
            put_text(&mut elements, element::AFFECTED_SOP_CLASS_UID, uid.as_str(), 0);
        }
        put(
            &mut elements,
            element::COMMAND_FIELD,
            &(self.request.code() | RESPONSE).to_le_bytes(),
        );
        put(
            &mut elements,
            element::MESSAGE_ID_BEING_RESPONDED_TO,
            &self.message_id.to_le_bytes(),
        );
        put(
            &mut elements,
            element::COMMAND_DATA_SET_TYPE,
            &NO_DATA_SET.to_le_bytes(),
        );
        put(&mut elements, element::STATUS, &self.verdict.status.0.to_le_bytes());
        if let Some(Tag(group, number)) = self.verdict.offending_element {
            let [g0, g1] = group.to_le_bytes();
            let [e0, e1] = number.to_le_bytes();
            put(&mut elements, element::OFFENDING_ELEMENT, &[g0, g1, e0, e1]);
        }
        if let Some(comment) = &self.verdict.comment {
            put_text(&mut elements, element::ERROR_COMMENT, comment, b' ');
        }
        if let Some(uid) = &self.affected_sop_instance_uid {
            put_text(&mut elements, element::AFFECTED_SOP_INSTANCE_UID, uid.as_str(), 0);
        }

        let length = u32::try_from(elements.len()).unwrap_or(u32::MAX); // a few hundred bytes
        let mut set = Vec::with_capacity(elements.len() + 12);
        put(&mut set, element::GROUP_LENGTH, &length.to_le_bytes());
        set.extend_from_slice(&elements);
        set
    }
}

fn put(set: &mut Vec<u8>, number: u16, value: &[u8]) {
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    set.extend_from_slice(&[0, 0]);
    set.extend_from_slice(&number.to_le_bytes());
    set.extend_from_slice(&length.to_le_bytes());
    set.extend_from_slice(value);
}

/// Puts a text, padded to even length (PS3.5 6.2: NUL for UIDs, space for other strings).
fn put_text(set: &mut Vec<u8>, number: u16, text: &str, padding: u8) {
    let mut value = text.as_bytes().to_vec();
    if value.len() % 2 == 1 {
        value.push(padding);
    }
    put(set, number, &value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::status::Status;

    fn request(elements: &[(u16, &[u8])]) -> Vec<u8> {
        let mut set = Vec::new();
        for (number, value) in elements {
            put(&mut set, *number, value);
        }
        set
    }

    const STORE: &[(u16, &[u8])] = &[
        (0x0000, &[0, 0, 0, 0]),
        (0x0002, b"1.2.840.10008.5.1.4.1.1.2\0"),
        (0x0100, &[0x01, 0x00]),
        (0x0110, &[0x07, 0x00]),
        (0x0700, &[0, 0]),
        (0x0800, &[0, 0]),
        (0x1000, b"1.2.3.4 "),
        (0x1030, b"MOVER   "),
        (0x1031, &[9, 0]),
    ];

    #[test]
    fn a_store_request_is_read() {
        let command = Command::decode(&request(STORE)).unwrap();
        assert_eq!(command.field, CommandField::CStoreRq);
        assert_eq!(command.message_id, 7);
        assert!(command.has_data_set);
        assert_eq!(
            command.affected_sop_class_uid.value().unwrap().as_str(),
            "1.2.840.10008.5.1.4.1.1.2"
        );
        assert_eq!(command.affected_sop_instance_uid.value().unwrap().as_str(), "1.2.3.4");
        assert_eq!(command.move_originator_ae_title.unwrap().as_str(), "MOVER");
        assert_eq!(command.move_originator_message_id, Some(9));
    }

    #[test]
    fn every_cut_of_a_request_is_an_error_or_lacks_elements_but_never_panics() {
        let whole = request(STORE);
        for end in 0..whole.len() {
            if let Ok(command) = Command::decode(&whole[..end]) {
                assert_ne!(command, Command::decode(&whole).unwrap());
            }
        }
    }

    #[test]
    fn missing_and_malformed_uids_are_told_apart() {
        let missing = Command::decode(&request(&[(0x0100, &[1, 0]), (0x0110, &[1, 0]), (0x1000, b"")])).unwrap();
        assert_eq!(missing.affected_sop_instance_uid, Field::Missing);
        let bad = Command::decode(&request(&[
            (0x0100, &[1, 0]),
            (0x0110, &[1, 0]),
            (0x1000, b"../../etc/passwd"),
        ]));
        assert_eq!(bad.unwrap().affected_sop_instance_uid, Field::Malformed);
        let long = [b'1'; 66];
        let long = Command::decode(&request(&[(0x0100, &[1, 0]), (0x0110, &[1, 0]), (0x1000, &long)]));
        assert_eq!(long.unwrap().affected_sop_instance_uid, Field::Malformed);
    }

    #[test]
    fn what_could_not_be_answered_is_an_error() {
        assert_eq!(Command::decode(b""), Err(CommandError::NoCommandField));
        assert_eq!(
            Command::decode(&request(&[(0x0100, &[1, 0])])),
            Err(CommandError::NoMessageId)
        );
        assert_eq!(
            Command::decode(&[8, 0, 0x18, 0, 0, 0, 0, 0]),
            Err(CommandError::ForeignGroup)
        );
        assert_eq!(
            Command::decode(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 1, 0]),
            Err(CommandError::CutOff)
        );
    }

    #[test]
    fn a_response_repeats_the_request_and_its_group_length_is_right() {
        let command = Command::decode(&request(STORE)).unwrap();
        let verdict = Verdict::new(Status::DATA_SET_MISMATCH, "Study Instance UID (0020,000D) missing");
        let bytes = Response::to(&command, verdict).encode();
        let mut rest = bytes.as_slice();
        let (number, length) = next_element(&mut rest).unwrap();
        assert_eq!((number, length), (0, (rest.len() as u32).to_le_bytes().as_slice()));
        let mut seen = Vec::new();
        while !rest.is_empty() {
            let (number, value) = next_element(&mut rest).unwrap();
            assert_eq!(value.len() % 2, 0, "{number:04X}");
            seen.push((number, value.to_vec()));
        }
        assert!(seen.is_sorted());
        let value = |number| seen.iter().find(|(n, _)| *n == number).map(|(_, v)| v.clone());
        assert_eq!(value(0x0100), Some(vec![0x01, 0x80]));
        assert_eq!(value(0x0120), Some(vec![7, 0]));
        assert_eq!(value(0x0800), Some(vec![0x01, 0x01]));
        assert_eq!(value(0x0900), Some(vec![0x00, 0xA9]));
        assert_eq!(value(0x0901), Some(vec![0x20, 0x00, 0x0D, 0x00]));
        assert_eq!(value(0x1000), Some(b"1.2.3.4\0".to_vec()));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Command::decode(&bytes);
        }

        #[test]
        fn no_elements_make_the_decoder_panic(
            elements in proptest::collection::vec((0u16..0x1100, proptest::collection::vec(any::<u8>(), 0..80)), 0..12)
        ) {
            let elements: Vec<_> = elements.iter().map(|(n, v)| (*n, v.as_slice())).collect();
            let _ = Command::decode(&request(&elements));
        }
    }
}
