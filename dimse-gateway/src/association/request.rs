//! The A-ASSOCIATE-RQ, PS3.8 9.3.2, read with care.
//!
//! Strict about lengths, so that nothing is read outside its item; lenient about content: items and sub-items that we do
//! not know are skipped, texts that are no UIDs are kept as empty and refused where they matter. Whether the peer may
//! come in and what it gets is decided elsewhere.

use crate::pdu::Violation;

/// Most presentation contexts that have different odd ids between 1 and 255.
const MAX_CONTEXTS: usize = 128;

/// What a peer asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssociateRequest {
    /// Protocol version, a bit for each.
    pub protocol_version: u16,
    /// Called AE title, as sent: sixteen bytes.
    pub called_ae_title: [u8; 16],
    /// Calling AE title, as sent: sixteen bytes.
    pub calling_ae_title: [u8; 16],
    /// Application context name; empty where none came.
    pub application_context_name: String,
    /// Proposed presentation contexts, in the peer's order; their ids are odd and differ.
    pub contexts: Vec<ProposedContext>,
    /// What the user information item says.
    pub user: UserInformation,
}

/// A proposed presentation context, PS3.8 9.3.2.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedContext {
    /// Its id.
    pub id: u8,
    /// Abstract syntax; empty where none came.
    pub abstract_syntax: String,
    /// Transfer syntaxes, in the peer's order.
    pub transfer_syntaxes: Vec<String>,
}

/// The user information item, PS3.7 Annex D.3.3, as far as it concerns us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserInformation {
    /// The longest PDU that the peer wants to receive; 0 is any.
    pub max_pdu_length: u32,
    /// Implementation class UID; for the log.
    pub implementation_class_uid: String,
    /// Implementation version name; for the log.
    pub implementation_version_name: String,
    /// Asynchronous operations window: operations invoked and performed.
    pub async_operations_window: Option<(u16, u16)>,
    /// SCP/SCU role selections.
    pub roles: Vec<RoleSelection>,
    /// User identity type, and whether a response to it is asked for. The identity itself is not kept.
    pub user_identity: Option<(u8, bool)>,
}

/// An SCP/SCU role selection, PS3.7 D.3.3.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSelection {
    /// The class that it is about.
    pub sop_class_uid: String,
    /// Whether the peer wants to be user.
    pub scu: bool,
    /// Whether the peer wants to be provider.
    pub scp: bool,
}

impl AssociateRequest {
    /// Decodes the body of an A-ASSOCIATE-RQ.
    ///
    /// # Errors
    /// When an item leaves the PDU or its parent, or the presentation contexts cannot be told apart by their ids.
    pub fn decode(body: &[u8]) -> Result<Self, Violation> {
        let mut fields = Fields(body);
        let mut request = Self {
            protocol_version: fields.u16()?,
            ..Self::default()
        };
        fields.take(2)?;
        request.called_ae_title = fields.array()?;
        request.calling_ae_title = fields.array()?;
        fields.take(32)?;
        while let Some((kind, item)) = fields.item()? {
            match kind {
                0x10 => request.application_context_name = text(item),
                0x20 => request.contexts.push(proposed_context(item)?),
                0x50 => request.user = user_information(item)?,
                unknown => tracing::debug!(item_type = unknown, "unknown item in A-ASSOCIATE-RQ skipped"),
            }
            if request.contexts.len() > MAX_CONTEXTS {
                return Err(Violation::invalid_parameter("more than 128 presentation contexts"));
            }
        }
        request.check_context_ids()?;
        Ok(request)
    }

    fn check_context_ids(&self) -> Result<(), Violation> {
        let mut seen = 0u128;
        for context in &self.contexts {
            let bit = 1u128 << (context.id >> 1);
            if context.id % 2 == 0 || seen & bit != 0 {
                return Err(Violation::invalid_parameter(
                    "presentation context ids not odd and unique",
                ));
            }
            seen |= bit;
        }
        Ok(())
    }
}

fn proposed_context(item: &[u8]) -> Result<ProposedContext, Violation> {
    let mut fields = Fields(item);
    let mut context = ProposedContext {
        id: fields.u8()?,
        abstract_syntax: String::new(),
        transfer_syntaxes: Vec::new(),
    };
    fields.take(3)?;
    while let Some((kind, item)) = fields.item()? {
        match kind {
            0x30 => context.abstract_syntax = text(item),
            0x40 => context.transfer_syntaxes.push(text(item)),
            unknown => tracing::debug!(item_type = unknown, "unknown item in presentation context skipped"),
        }
    }
    Ok(context)
}

fn user_information(item: &[u8]) -> Result<UserInformation, Violation> {
    let mut fields = Fields(item);
    let mut user = UserInformation::default();
    while let Some((kind, item)) = fields.item()? {
        let mut item = Fields(item);
        match kind {
            0x51 => user.max_pdu_length = item.u32()?,
            0x52 => user.implementation_class_uid = text(item.0),
            0x53 => user.async_operations_window = Some((item.u16()?, item.u16()?)),
            0x54 => {
                let length = item.u16()?;
                user.roles.push(RoleSelection {
                    sop_class_uid: text(item.take(length.into())?),
                    scu: item.u8()? == 1,
                    scp: item.u8()? == 1,
                });
            }
            0x55 => user.implementation_version_name = text(item.0),
            0x58 => user.user_identity = Some((item.u8()?, item.u8()? == 1)),
            // 56H and 57H are extended negotiation, of use to queries only.
            _ => {}
        }
    }
    Ok(user)
}

/// Returns a text of printable ASCII without padding; empty where it is none, so that no peer writes into our log.
fn text(bytes: &[u8]) -> String {
    let printable = std::str::from_utf8(bytes).ok();
    let trimmed = printable.map(|text| text.trim_matches(|c: char| c == '\0' || c == ' '));
    let clean = trimmed.filter(|text| text.bytes().all(|b| (0x20..0x7f).contains(&b)));
    clean.unwrap_or_default().to_owned()
}

/// Bytes taken from the front, never beyond the end.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Violation> {
        let cut = || Violation::invalid_parameter("item length out of bounds");
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(cut)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Violation> {
        let taken = self.take(N)?;
        taken
            .try_into()
            .map_err(|_| Violation::invalid_parameter("item length out of bounds"))
    }

    fn u8(&mut self) -> Result<u8, Violation> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, Violation> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Violation> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes type, reserved byte, length and body of the next item; `None` at the end.
    fn item(&mut self) -> Result<Option<(u8, &'a [u8])>, Violation> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let kind = self.u8()?;
        self.u8()?;
        let length = self.u16()?;
        Ok(Some((kind, self.take(length.into())?)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut item = vec![kind, 0];
        item.extend_from_slice(&(body.len() as u16).to_be_bytes());
        item.extend_from_slice(body);
        item
    }

    fn request(items: &[Vec<u8>]) -> Vec<u8> {
        let mut body = vec![0, 1, 0, 0];
        body.extend_from_slice(b"ISOCENTER       ");
        body.extend_from_slice(b"CT1             ");
        body.extend_from_slice(&[0; 32]);
        body.extend(items.iter().flatten());
        body
    }

    fn context(id: u8) -> Vec<u8> {
        let mut body = vec![id, 0, 0, 0];
        body.extend(item(0x30, b"1.2.840.10008.1.1\0"));
        body.extend(item(0x40, b"1.2.840.10008.1.2"));
        item(0x20, &body)
    }

    fn whole() -> Vec<u8> {
        let user: Vec<u8> = [
            item(0x51, &[0, 0, 0x40, 0]),
            item(0x52, b"1.2.3"),
            item(0x53, &[0, 5, 0, 5]),
            item(0x54, b"\x00\x0d1.2.840.10008\x01\x00"),
            item(0x5f, b"nobody knows this one"),
            item(0x58, b"\x02\x01\x00\x04user\x00\x04pass"),
        ]
        .concat();
        request(&[
            item(0x10, b"1.2.840.10008.3.1.1.1"),
            item(0x77, b"an item of the future"),
            context(1),
            context(255),
            item(0x50, &user),
        ])
    }

    #[test]
    fn everything_is_read_and_the_unknown_is_skipped() {
        let request = AssociateRequest::decode(&whole()).unwrap();
        assert_eq!(request.protocol_version, 1);
        assert_eq!(&request.calling_ae_title, b"CT1             ");
        assert_eq!(request.application_context_name, "1.2.840.10008.3.1.1.1");
        assert_eq!(request.contexts.len(), 2);
        assert_eq!(request.contexts[1].id, 255);
        assert_eq!(request.contexts[1].abstract_syntax, "1.2.840.10008.1.1");
        assert_eq!(request.user.max_pdu_length, 16_384);
        assert_eq!(request.user.async_operations_window, Some((5, 5)));
        assert_eq!(request.user.user_identity, Some((2, true)));
        assert_eq!(
            request.user.roles,
            [RoleSelection {
                sop_class_uid: "1.2.840.10008".into(),
                scu: true,
                scp: false
            }]
        );
    }

    #[test]
    fn a_request_cut_inside_an_item_is_refused() {
        let whole = whole();
        let fixed = 68;
        let between_items = [0, 25, 50, 101, 152];
        let mut refused = 0;
        for end in 0..whole.len() {
            match AssociateRequest::decode(&whole[..end]) {
                Ok(_) => assert!(between_items.contains(&(end - fixed)), "{}", end - fixed),
                Err(_) => refused += 1,
            }
        }
        assert_eq!(refused, whole.len() - between_items.len());
    }

    #[test]
    fn lengths_that_leave_their_item_are_refused() {
        let overrun = [0x51, 0, 0, 200, 0, 0, 0, 0];
        assert!(AssociateRequest::decode(&request(&[item(0x50, &overrun)])).is_err());
        let role = b"\x00\xff1.2";
        assert!(AssociateRequest::decode(&request(&[item(0x50, &item(0x54, role))])).is_err());
    }

    #[test]
    fn context_ids_must_be_odd_and_different() {
        assert!(AssociateRequest::decode(&request(&[context(1), context(3)])).is_ok());
        assert!(AssociateRequest::decode(&request(&[context(1), context(1)])).is_err());
        assert!(AssociateRequest::decode(&request(&[context(2)])).is_err());
        assert!(AssociateRequest::decode(&request(&[context(0)])).is_err());
        let all: Vec<_> = (0..=127).map(|n| context(2 * n + 1)).collect();
        assert_eq!(AssociateRequest::decode(&request(&all)).unwrap().contexts.len(), 128);
    }

    #[test]
    fn a_text_with_control_characters_is_taken_for_none() {
        assert_eq!(text(b"1.2\n3"), "");
        assert_eq!(text(b"\xff\xfe"), "");
        assert_eq!(text(b"1.2.3\0"), "1.2.3");
    }

    proptest! {
        #[test]
        fn no_request_makes_the_decoder_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            at in 0usize..300,
            with in any::<u8>(),
        ) {
            let _ = AssociateRequest::decode(&bytes);
            let mut changed = whole();
            let at = at % changed.len();
            changed[at] = with;
            let _ = AssociateRequest::decode(&changed);
        }
    }
}
