//! What a peer gets of what it proposed: an answer to every presentation context, PS3.8 9.3.3.2.
//!
//! Each context is judged alone, so one that we do not offer never costs the others, and where none is accepted the
//! association is still accepted: the peer can read from it, context by context, what it asked for in vain.

use dicom_dictionary_std::uids;
use dicom_ul::pdu::{
    AssociationAC, PresentationContextResult, PresentationContextResultReason, RequestorRoles, UserVariableItem,
};
use isocenter_model::part10::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
use isocenter_model::{AeTitle, SopClassUid, TransferSyntaxUid};

use super::request::{AssociateRequest, ProposedContext, RoleSelection};
use crate::observer::ContextRefusal;
use crate::sop_class::{Service, service_of};
use crate::transfer_syntax::{choose_for_storage, choose_plain};

/// The application context of DICOM, PS3.7 A.2.1.
pub(crate) const APPLICATION_CONTEXT_NAME: &str = "1.2.840.10008.3.1.1.1";

/// A presentation context that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AcceptedContext {
    pub(crate) service: Service,
    pub(crate) transfer_syntax_uid: TransferSyntaxUid,
}

/// The presentation contexts that were accepted, by id.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    /// Ids are odd: the context with id `2 n + 1` stands at `n`.
    by_half_id: Vec<Option<AcceptedContext>>,
}

impl Contexts {
    /// Returns the accepted context with that id. A refused one is none.
    pub(crate) fn get(&self, id: u8) -> Option<&AcceptedContext> {
        let slot = (id % 2 == 1).then(|| self.by_half_id.get(usize::from(id >> 1)))??;
        slot.as_ref()
    }

    fn insert(&mut self, id: u8, context: AcceptedContext) {
        let at = usize::from(id >> 1);
        if self.by_half_id.len() <= at {
            self.by_half_id.resize(at + 1, None);
        }
        if let Some(slot) = self.by_half_id.get_mut(at) {
            *slot = Some(context);
        }
    }
}

/// A presentation context that was refused. The abstract syntax is a UID or empty.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RefusedContext {
    pub(crate) abstract_syntax: String,
    pub(crate) transfer_syntaxes: Vec<String>,
    pub(crate) refusal: ContextRefusal,
}

/// The result of a negotiation.
#[derive(Debug)]
pub(crate) struct Negotiated {
    pub(crate) contexts: Contexts,
    pub(crate) refused: Vec<RefusedContext>,
    pub(crate) answers: Vec<PresentationContextResult>,
    pub(crate) roles: Vec<UserVariableItem>,
}

/// Judges every proposed context.
pub(crate) fn negotiate(request: &AssociateRequest, accept_unknown: bool) -> Negotiated {
    let mut negotiated = Negotiated {
        contexts: Contexts::default(),
        refused: Vec::new(),
        answers: Vec::with_capacity(request.contexts.len()),
        roles: Vec::new(),
    };
    for proposed in &request.contexts {
        let role = request
            .user
            .roles
            .iter()
            .find(|role| role.sop_class_uid == proposed.abstract_syntax);
        let result = judge(proposed, role, accept_unknown);
        negotiated.answers.push(answer(proposed.id, &result));
        match result {
            Ok(context) => {
                negotiated.contexts.insert(proposed.id, context);
                negotiated.answer_role(role);
            }
            Err(refusal) => negotiated.refused.push(RefusedContext {
                abstract_syntax: proposed.abstract_syntax.clone(),
                transfer_syntaxes: proposed.transfer_syntaxes.clone(),
                refusal,
            }),
        }
    }
    negotiated
}

fn judge(
    proposed: &ProposedContext,
    role: Option<&RoleSelection>,
    accept_unknown: bool,
) -> Result<AcceptedContext, ContextRefusal> {
    let abstract_syntax = SopClassUid::parse(&proposed.abstract_syntax).map_err(|_| ContextRefusal::AbstractSyntax)?;
    let service = service_of(abstract_syntax.as_str(), accept_unknown).ok_or(ContextRefusal::AbstractSyntax)?;
    // A peer that wants to be provider only waits for requests of ours, and there are none before C-GET.
    if role.is_some_and(|role| !role.scu) {
        return Err(ContextRefusal::User);
    }
    let transfer_syntax_uid = match service {
        Service::Verification => choose_plain(&proposed.transfer_syntaxes),
        Service::Storage => choose_for_storage(&proposed.transfer_syntaxes),
    };
    Ok(AcceptedContext {
        service,
        transfer_syntax_uid: transfer_syntax_uid.ok_or(ContextRefusal::TransferSyntaxes)?,
    })
}

fn answer(id: u8, result: &Result<AcceptedContext, ContextRefusal>) -> PresentationContextResult {
    use PresentationContextResultReason as Reason;
    let (reason, transfer_syntax) = match result {
        Ok(context) => (Reason::Acceptance, context.transfer_syntax_uid.as_str()),
        // A refused context carries a transfer syntax too, which nobody reads.
        Err(ContextRefusal::User) => (Reason::UserRejection, uids::IMPLICIT_VR_LITTLE_ENDIAN),
        Err(ContextRefusal::AbstractSyntax) => (Reason::AbstractSyntaxNotSupported, uids::IMPLICIT_VR_LITTLE_ENDIAN),
        Err(ContextRefusal::TransferSyntaxes) => {
            (Reason::TransferSyntaxesNotSupported, uids::IMPLICIT_VR_LITTLE_ENDIAN)
        }
    };
    PresentationContextResult {
        id,
        reason,
        transfer_syntax: transfer_syntax.to_owned(),
    }
}

impl Negotiated {
    /// Answers a role selection once for each class: the peer may be user, not provider (PS3.7 D.3.3.4).
    fn answer_role(&mut self, role: Option<&RoleSelection>) {
        let Some(role) = role else { return };
        let roles = RequestorRoles { scu: true, scp: false };
        let item = UserVariableItem::ScuScpRoleSelectionSubItem(role.sop_class_uid.clone(), roles);
        if !self.roles.contains(&item) {
            self.roles.push(item);
        }
    }

    /// Returns the A-ASSOCIATE-AC.
    ///
    /// The asynchronous operations window is not answered, which means one operation at a time (PS3.7 D.3.3.3). Neither
    /// is user identity: we do not check it, so we do not confirm it (PS3.7 D.3.3.7).
    pub(crate) fn accept(&self, calling: &AeTitle, called: &AeTitle, max_pdu_length: u32) -> AssociationAC {
        let mut user_variables = vec![
            UserVariableItem::MaxLength(max_pdu_length),
            UserVariableItem::ImplementationClassUID(IMPLEMENTATION_CLASS_UID.to_owned()),
            UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION_NAME.to_owned()),
        ];
        user_variables.extend(self.roles.iter().cloned());
        AssociationAC {
            protocol_version: 1,
            calling_ae_title: calling.as_str().to_owned(),
            called_ae_title: called.as_str().to_owned(),
            application_context_name: APPLICATION_CONTEXT_NAME.to_owned(),
            presentation_contexts: self.answers.clone(),
            user_variables,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::association::request::UserInformation;

    const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
    const FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";
    const VERIFICATION: &str = "1.2.840.10008.1.1";

    fn proposed(id: u8, abstract_syntax: &str, transfer_syntaxes: &[&str]) -> ProposedContext {
        ProposedContext {
            id,
            abstract_syntax: abstract_syntax.into(),
            transfer_syntaxes: transfer_syntaxes.iter().map(|&s| s.into()).collect(),
        }
    }

    fn results(negotiated: &Negotiated) -> Vec<(u8, u8, &str)> {
        let answers = negotiated.answers.iter();
        answers
            .map(|answer| (answer.id, answer.reason.clone() as u8, answer.transfer_syntax.as_str()))
            .collect()
    }

    #[test]
    fn every_context_is_answered_on_its_own_merit() {
        let request = AssociateRequest {
            contexts: vec![
                proposed(1, VERIFICATION, &["1.2.840.10008.1.2"]),
                proposed(3, CT, &["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]),
                proposed(5, CT, &["1.2.840.10008.1.2.4.90"]),
                proposed(7, CT, &["1.2.3.4.5"]),
                proposed(9, FIND, &["1.2.840.10008.1.2"]),
                proposed(11, CT, &[]),
                proposed(13, "not a uid", &["1.2.840.10008.1.2"]),
                proposed(255, "1.3.12.2.1107.5.9.1", &["1.2.840.10008.1.2"]),
            ],
            ..AssociateRequest::default()
        };
        let negotiated = negotiate(&request, true);
        assert_eq!(
            results(&negotiated),
            [
                (1, 0, "1.2.840.10008.1.2"),
                (3, 0, "1.2.840.10008.1.2.1"),
                (5, 0, "1.2.840.10008.1.2.4.90"),
                (7, 0, "1.2.3.4.5"),
                (9, 3, "1.2.840.10008.1.2"),
                (11, 4, "1.2.840.10008.1.2"),
                (13, 3, "1.2.840.10008.1.2"),
                (255, 0, "1.2.840.10008.1.2"),
            ]
        );
        assert_eq!(negotiated.contexts.get(1).unwrap().service, Service::Verification);
        assert_eq!(negotiated.contexts.get(255).unwrap().service, Service::Storage);
        for refused in [0, 2, 9, 11, 13, 15, 253] {
            assert_eq!(negotiated.contexts.get(refused), None, "{refused}");
        }
        assert_eq!(negotiated.refused.len(), 3);
    }

    #[test]
    fn a_peer_may_be_user_but_not_only_provider() {
        let role = |scu, scp| RoleSelection {
            sop_class_uid: CT.into(),
            scu,
            scp,
        };
        let with = |role| AssociateRequest {
            contexts: vec![
                proposed(1, CT, &["1.2.840.10008.1.2"]),
                proposed(3, CT, &["1.2.840.10008.1.2"]),
            ],
            user: UserInformation {
                roles: vec![role],
                ..UserInformation::default()
            },
            ..AssociateRequest::default()
        };
        let both = negotiate(&with(role(true, true)), true);
        assert_eq!(results(&both)[0].1, 0);
        assert_eq!(
            both.roles,
            [UserVariableItem::ScuScpRoleSelectionSubItem(
                CT.into(),
                RequestorRoles { scu: true, scp: false }
            )]
        );
        let provider = negotiate(&with(role(false, true)), true);
        assert_eq!(results(&provider)[0].1, 1);
        assert!(provider.roles.is_empty());
    }
}
