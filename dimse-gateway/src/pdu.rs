//! Protocol data units, PS3.8 section 9.3, as far as framing goes.
//!
//! A PDU is a type, a length and that many bytes. Type and length are checked here before anything is allocated for the
//! bytes; a P-DATA-TF is taken apart into presentation data values that share its memory. What stands in association
//! PDUs is read by [`crate::association::request`] and written by `dicom-ul`.
//!
//! ```text
//! PDU   type (1)  0 (1)  length (4, big endian)  body
//! PDV   length (4, big endian)  presentation context id (1)  message control header (1)  fragment
//! ```

use bytes::{Buf, Bytes};
use dicom_ul::pdu::AbortRQServiceProviderReason;

/// Length of type, reserved byte and length.
pub const HEADER_LENGTH: usize = 6;
/// Length of a PDV's length, presentation context id and message control header.
pub const PDV_OVERHEAD: usize = 6;
/// Largest association PDU that is read. 128 contexts with 30 transfer syntaxes each are about 200 kB.
pub const MAX_ASSOCIATE_LENGTH: u32 = 1 << 20;

/// A breach of the upper layer protocol, and the reason that the A-ABORT gives (PS3.8 9.3.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The reason of the A-ABORT.
    pub reason: AbortRQServiceProviderReason,
    /// What was wrong; no text of the peer's.
    pub what: &'static str,
}

impl Violation {
    /// Returns a breach where the PDU type is not one of the seven.
    pub fn unrecognized_pdu(what: &'static str) -> Self {
        Self {
            reason: AbortRQServiceProviderReason::UnrecognizedPdu,
            what,
        }
    }

    /// Returns a breach where a PDU comes when it must not.
    pub fn unexpected_pdu(what: &'static str) -> Self {
        Self {
            reason: AbortRQServiceProviderReason::UnexpectedPdu,
            what,
        }
    }

    /// Returns a breach where a part of a PDU comes when it must not.
    pub fn unexpected_parameter(what: &'static str) -> Self {
        Self {
            reason: AbortRQServiceProviderReason::UnexpectedPduParameter,
            what,
        }
    }

    /// Returns a breach where a value cannot be right.
    pub fn invalid_parameter(what: &'static str) -> Self {
        Self {
            reason: AbortRQServiceProviderReason::InvalidPduParameter,
            what,
        }
    }
}

/// The type of a PDU, its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PduType {
    /// 01H.
    AssociateRq,
    /// 02H.
    AssociateAc,
    /// 03H.
    AssociateRj,
    /// 04H.
    PData,
    /// 05H.
    ReleaseRq,
    /// 06H.
    ReleaseRp,
    /// 07H.
    Abort,
}

impl PduType {
    /// Returns the type of a first byte. `G` of an HTTP request and 16H of a TLS hello are none.
    ///
    /// # Errors
    /// When it is none of the seven.
    pub fn of(byte: u8) -> Result<Self, Violation> {
        Ok(match byte {
            0x01 => Self::AssociateRq,
            0x02 => Self::AssociateAc,
            0x03 => Self::AssociateRj,
            0x04 => Self::PData,
            0x05 => Self::ReleaseRq,
            0x06 => Self::ReleaseRp,
            0x07 => Self::Abort,
            _ => return Err(Violation::unrecognized_pdu("not a DICOM PDU")),
        })
    }

    /// Checks the length that a PDU of this type claims, before memory is set aside for it.
    ///
    /// # Errors
    /// When it is longer than such a PDU may be, or not as long as it must be.
    pub fn check_length(self, length: u32, max_pdu_length: u32) -> Result<(), Violation> {
        let fits = match self {
            Self::AssociateRq | Self::AssociateAc => length <= MAX_ASSOCIATE_LENGTH,
            // The maximum is that of the body; some peers mean the header too, and so are 6 bytes longer.
            Self::PData => length <= max_pdu_length.saturating_add(6),
            Self::AssociateRj | Self::ReleaseRq | Self::ReleaseRp | Self::Abort => length == 4,
        };
        if fits {
            Ok(())
        } else {
            Err(Violation::invalid_parameter("PDU length out of bounds"))
        }
    }
}

/// A presentation data value: a fragment of a command set or a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdv {
    /// Presentation context that it belongs to.
    pub context_id: u8,
    /// Whether it is of a command set.
    pub is_command: bool,
    /// Whether it is the last of its command set or data set.
    pub is_last: bool,
    /// The bytes.
    pub fragment: Bytes,
}

/// The presentation data values of one P-DATA-TF, taken one by one from its body without copying.
#[derive(Debug, Default)]
pub struct Pdvs(Bytes);

impl Pdvs {
    /// Takes the body of a P-DATA-TF.
    ///
    /// # Errors
    /// When it is empty: there must be one value at least (PS3.8 9.3.5).
    pub fn new(body: Bytes) -> Result<Self, Violation> {
        if body.is_empty() {
            return Err(Violation::invalid_parameter("P-DATA-TF without a value"));
        }
        Ok(Self(body))
    }

    /// Takes the next value; `None` when the PDU is used up.
    ///
    /// # Errors
    /// When the value's length leaves the PDU.
    pub fn take_next(&mut self) -> Result<Option<Pdv>, Violation> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let cut = || Violation::invalid_parameter("PDV length out of bounds");
        let length = self.0.try_get_u32().map_err(|_| cut())?;
        let length = usize::try_from(length).map_err(|_| cut())?;
        if length < 2 || length > self.0.len() {
            return Err(cut());
        }
        let mut value = self.0.split_to(length);
        let context_id = value.try_get_u8().map_err(|_| cut())?;
        let control = value.try_get_u8().map_err(|_| cut())?;
        Ok(Some(Pdv {
            context_id,
            is_command: control & 1 != 0,
            is_last: control & 2 != 0,
            fragment: value,
        }))
    }
}

/// Frames a command set for sending: one P-DATA-TF, or as many as a peer with a small maximum makes necessary, in one
/// buffer, so that a response is one write.
pub fn frame_command(context_id: u8, command_set: &[u8], peer_max_pdu_length: u32) -> Vec<u8> {
    // PDV fragments have even lengths; a maximum too small for any is overstepped rather than never answered.
    let most = match usize::try_from(peer_max_pdu_length) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(max) => (max.saturating_sub(PDV_OVERHEAD) & !1).max(2),
    };
    let mut out = Vec::with_capacity(command_set.len() + HEADER_LENGTH + PDV_OVERHEAD);
    let mut fragments = command_set.chunks(most).peekable();
    while let Some(fragment) = fragments.next() {
        let length = u32::try_from(fragment.len()).unwrap_or(u32::MAX); // a few hundred bytes
        let is_last = fragments.peek().is_none();
        out.extend_from_slice(&[0x04, 0]);
        out.extend_from_slice(&length.saturating_add(6).to_be_bytes());
        out.extend_from_slice(&length.saturating_add(2).to_be_bytes());
        out.extend_from_slice(&[context_id, if is_last { 0b11 } else { 0b01 }]);
        out.extend_from_slice(fragment);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pdvs_of(body: &[u8]) -> Result<Vec<Pdv>, Violation> {
        let mut pdvs = Pdvs::new(Bytes::copy_from_slice(body))?;
        let mut all = Vec::new();
        while let Some(pdv) = pdvs.take_next()? {
            all.push(pdv);
        }
        Ok(all)
    }

    #[test]
    fn command_and_data_in_one_pdu_are_told_apart() {
        let body = [
            &[0, 0, 0, 4, 1, 3, b'a', b'b'][..],
            &[0, 0, 0, 3, 1, 0, b'c'],
            &[0, 0, 0, 2, 1, 2],
        ]
        .concat();
        let pdvs = pdvs_of(&body).unwrap();
        assert_eq!(pdvs.len(), 3);
        assert!(pdvs[0].is_command && pdvs[0].is_last && pdvs[0].fragment == "ab");
        assert!(!pdvs[1].is_command && !pdvs[1].is_last && pdvs[1].fragment == "c");
        assert!(pdvs[2].is_last && pdvs[2].fragment.is_empty());
    }

    #[test]
    fn a_value_that_leaves_its_pdu_is_refused() {
        for body in [
            &[][..],
            &[0],
            &[0, 0, 0, 0],
            &[0, 0, 0, 1, 1],
            &[0, 0, 0, 3, 1, 0],
            &[0xff, 0xff, 0xff, 0xff, 1, 0],
            &[0, 0, 0, 2, 1, 0, 9],
        ] {
            let violation = pdvs_of(body).unwrap_err();
            assert_eq!(violation.reason, AbortRQServiceProviderReason::InvalidPduParameter);
        }
    }

    #[test]
    fn lengths_are_checked_against_what_was_announced() {
        assert!(PduType::PData.check_length(16_390, 16_384).is_ok());
        assert!(PduType::PData.check_length(16_391, 16_384).is_err());
        assert!(PduType::AssociateRq.check_length(1 << 20, 16_384).is_ok());
        assert!(PduType::AssociateRq.check_length(u32::MAX, 16_384).is_err());
        assert!(PduType::Abort.check_length(5, 16_384).is_err());
        assert!(PduType::of(b'G').is_err() && PduType::of(0x16).is_err() && PduType::of(0).is_err());
    }

    #[test]
    fn a_response_keeps_to_the_peers_maximum() {
        let set: Vec<u8> = (0..150).collect();
        for max in [0, 7, 8, 20, 64, 150, 156, 16_384] {
            let framed = frame_command(3, &set, max);
            let mut rest = Bytes::from(framed);
            let mut joined = Vec::new();
            let mut ended = false;
            while !rest.is_empty() {
                assert!(!ended);
                assert_eq!(rest[0], 0x04);
                let mut header = rest.split_to(6);
                header.advance(2);
                let length = header.get_u32();
                assert!(max < 8 || length <= max, "{length} of {max}");
                for pdv in pdvs_of(&rest.split_to(length as usize)).unwrap() {
                    assert!(pdv.is_command && pdv.context_id == 3);
                    joined.extend_from_slice(&pdv.fragment);
                    ended = pdv.is_last;
                }
            }
            assert!(ended);
            assert_eq!(joined, set);
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = pdvs_of(&body);
        }
    }
}
