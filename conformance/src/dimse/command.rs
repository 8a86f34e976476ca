//! Command sets (PS3.7 6.3, 9.3): Implicit VR Little Endian, group 0000, with its group length.

use crate::data_set::put_implicit;
use std::collections::BTreeMap;
use std::fmt;

/// A status of PS3.7 Annex C and PS3.4 B.2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u16);

impl Status {
    /// Success.
    pub const SUCCESS: Self = Self(0x0000);

    /// Returns whether the instance was taken: success or one of the Storage warnings (PS3.4 Table B.2-1).
    pub fn is_taken(self) -> bool {
        self.0 == 0 || self.0 & 0xf000 == 0xb000
    }

    /// Returns whether the status says that the object itself is at fault: A9xx or Cxxx.
    pub fn blames_the_object(self) -> bool {
        self.0 & 0xff00 == 0xa900 || self.0 & 0xf000 == 0xc000
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

/// A command set, by element number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandSet(BTreeMap<u16, Vec<u8>>);

impl CommandSet {
    /// Returns a C-ECHO-RQ (PS3.7 9.3.5.1).
    pub fn echo_request(message_id: u16) -> Self {
        let mut set = Self::default();
        set.uid(0x0002, super::VERIFICATION)
            .number(0x0100, 0x0030)
            .number(0x0110, message_id)
            .number(0x0800, 0x0101);
        set
    }

    /// Returns a C-STORE-RQ (PS3.7 9.3.1.1).
    pub fn store_request(message_id: u16, sop_class_uid: &str, sop_instance_uid: &str) -> Self {
        let mut set = Self::default();
        set.uid(0x0002, sop_class_uid)
            .number(0x0100, 0x0001)
            .number(0x0110, message_id)
            .number(0x0700, 0)
            .number(0x0800, 0)
            .uid(0x1000, sop_instance_uid);
        set
    }

    /// Sets an element of VR US.
    pub fn number(&mut self, element: u16, value: u16) -> &mut Self {
        self.0.insert(element, value.to_le_bytes().to_vec());
        self
    }

    /// Sets an element of VR UI.
    pub fn uid(&mut self, element: u16, value: &str) -> &mut Self {
        let mut bytes = value.as_bytes().to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        self.0.insert(element, bytes);
        self
    }

    /// Returns an element of VR US.
    pub fn get_number(&self, element: u16) -> Option<u16> {
        Some(u16::from_le_bytes(self.0.get(&element)?.get(..2)?.try_into().ok()?))
    }

    /// Returns an element of VR UI without its padding.
    pub fn get_uid(&self, element: u16) -> Option<String> {
        let text = String::from_utf8_lossy(self.0.get(&element)?).into_owned();
        Some(text.trim_end_matches([' ', '\0']).to_owned())
    }

    /// Returns the status (0000,0900).
    pub fn status(&self) -> Option<Status> {
        self.get_number(0x0900).map(Status)
    }

    /// Returns the encoded command set.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (element, value) in &self.0 {
            put_implicit(&mut body, (0, *element), value);
        }
        let mut out = Vec::with_capacity(body.len() + 12);
        put_implicit(
            &mut out,
            (0, 0),
            &u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes(),
        );
        out.extend_from_slice(&body);
        out
    }

    /// Returns the command set in these bytes, or `None` when they are not one.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut set = Self::default();
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_at_checked(8)?;
            let group = u16::from_le_bytes(head.get(..2)?.try_into().ok()?);
            let element = u16::from_le_bytes(head.get(2..4)?.try_into().ok()?);
            let length = u32::from_le_bytes(head.get(4..8)?.try_into().ok()?);
            let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            if group != 0 {
                return None;
            }
            if element != 0 {
                set.0.insert(element, value.to_vec());
            }
            bytes = rest;
        }
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_set_survives_its_encoding_and_states_its_length() {
        let set = CommandSet::store_request(7, "1.2.840.10008.5.1.4.1.1.2", "2.25.1");
        let bytes = set.encode();
        assert_eq!(CommandSet::decode(&bytes).unwrap(), set);
        assert_eq!(
            u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize,
            bytes.len() - 12
        );
    }

    #[test]
    fn a_cut_command_set_is_none() {
        let bytes = CommandSet::echo_request(1).encode();
        assert!(CommandSet::decode(&bytes[..bytes.len() - 1]).is_none());
    }
}
