//! An association as requestor (PS3.8 section 9): negotiation, messages, fragmentation.

use super::command::{CommandSet, Status};
use crate::target::ApplicationEntity;
use anyhow::{Context as _, Result, anyhow, bail};
use bytes::BytesMut;
use dicom_ul::association::read_pdu_from_wire_async;
use dicom_ul::pdu::{
    AssociationRJServiceProviderASCEReason as Asce, AssociationRJServiceProviderPresentationReason as Presentation,
    AssociationRJServiceUserReason as User, AssociationRJSource, AssociationRQ, PDataValueType, Pdu,
    PresentationContextProposed, UserVariableItem, write_pdu,
};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);
/// What we announce; peers may send PDUs up to this length.
const OUR_MAXIMUM_LENGTH: u32 = 131_072;

/// One proposed presentation context.
#[derive(Clone, Debug)]
pub struct Context {
    /// Abstract syntax.
    pub abstract_syntax: String,
    /// Transfer syntaxes, in our order of preference.
    pub transfer_syntaxes: Vec<String>,
}

impl Context {
    /// Returns a context with one transfer syntax.
    pub fn new(abstract_syntax: &str, transfer_syntax: &str) -> Self {
        Self {
            abstract_syntax: abstract_syntax.to_owned(),
            transfer_syntaxes: vec![transfer_syntax.to_owned()],
        }
    }
}

/// What is asked for when an association is opened.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Calling AE title.
    pub calling_ae_title: String,
    /// Called AE title.
    pub called_ae_title: String,
    /// Application context name.
    pub application_context: String,
    /// Presentation contexts; the first one gets identifier 1, the next 3 and so on.
    pub contexts: Vec<Context>,
    /// The maximum PDU length that we announce.
    pub maximum_length: u32,
    /// Further user information items, as (type, content).
    pub user_items: Vec<(u8, Vec<u8>)>,
}

impl Offer {
    /// Returns an offer of these contexts to an application entity.
    pub fn to(entity: &ApplicationEntity, contexts: Vec<Context>) -> Self {
        Self {
            calling_ae_title: "CONFORMANCE".into(),
            called_ae_title: entity.ae_title.clone(),
            application_context: super::APPLICATION_CONTEXT.into(),
            contexts,
            maximum_length: OUR_MAXIMUM_LENGTH,
            user_items: Vec::new(),
        }
    }
}

/// The numbers of an A-ASSOCIATE-RJ (PS3.8 9.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// 1 permanent, 2 transient.
    pub result: u8,
    /// 1 service user, 2 provider (ACSE), 3 provider (presentation).
    pub source: u8,
    /// The reason, by source.
    pub reason: u8,
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "A-ASSOCIATE-RJ {}/{}/{}", self.result, self.source, self.reason)
    }
}

/// Why no association came about.
#[derive(Debug)]
pub enum Refused {
    /// The peer rejected the request.
    Rejected(Rejection),
    /// The peer aborted or closed the connection, or spoke nonsense.
    Broken(anyhow::Error),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Broken(error) => write!(f, "{error:#}"),
        }
    }
}

impl std::error::Error for Refused {}

impl From<anyhow::Error> for Refused {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

/// The answer to one proposed context (PS3.8 9.3.3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Identifier of the context.
    pub id: u8,
    /// Abstract syntax proposed.
    pub abstract_syntax: String,
    /// 0 acceptance, 1 user rejection, 2 no reason, 3 abstract syntax, 4 transfer syntaxes not supported.
    pub result: u8,
    /// Transfer syntax chosen; without meaning when refused.
    pub transfer_syntax: String,
}

/// An open association.
#[derive(Debug)]
pub struct Association {
    stream: TcpStream,
    buffer: BytesMut,
    /// The answers to the contexts, in the order proposed.
    pub contexts: Vec<Negotiated>,
    /// The longest PDU that the peer takes; 0 means no limit.
    pub peer_maximum_length: u32,
    message_id: u16,
}

impl Association {
    /// Opens an association.
    ///
    /// # Errors
    /// [`Refused::Rejected`] with the numbers of an A-ASSOCIATE-RJ; [`Refused::Broken`] for everything else.
    pub async fn open(address: &str, offer: &Offer) -> Result<Self, Refused> {
        let stream = timeout(PATIENCE, TcpStream::connect(address))
            .await
            .map_err(|_| anyhow!("no connection to {address}"))?
            .with_context(|| format!("no connection to {address}"))?;
        // A message is a command and data; with Nagle's algorithm on, the second waits for the peer's delayed acknowledgement.
        stream.set_nodelay(true).context("setting TCP_NODELAY")?;
        let mut association = Self {
            stream,
            buffer: BytesMut::new(),
            contexts: Vec::new(),
            peer_maximum_length: 0,
            message_id: 0,
        };
        association.send_pdu(&request(offer)).await?;
        match association.receive_pdu().await? {
            Pdu::AssociationAC(accepted) => {
                association.peer_maximum_length = accepted
                    .user_variables
                    .iter()
                    .find_map(|item| {
                        if let UserVariableItem::MaxLength(length) = item {
                            Some(*length)
                        } else {
                            None
                        }
                    })
                    .unwrap_or(16_384);
                for (proposed, id) in offer.contexts.iter().zip((1..=255_u8).step_by(2)) {
                    let answer = accepted
                        .presentation_contexts
                        .iter()
                        .find(|context| context.id == id)
                        .ok_or_else(|| anyhow!("presentation context {id} was not answered"))?;
                    association.contexts.push(Negotiated {
                        id,
                        abstract_syntax: proposed.abstract_syntax.clone(),
                        result: answer.reason.clone() as u8,
                        transfer_syntax: answer.transfer_syntax.trim_end_matches(['\0', ' ']).to_owned(),
                    });
                }
                Ok(association)
            }
            Pdu::AssociationRJ(rejected) => {
                let (source, reason) = numbers(&rejected.source);
                Err(Refused::Rejected(Rejection {
                    result: rejected.result as u8,
                    source,
                    reason,
                }))
            }
            other => Err(Refused::Broken(anyhow!(
                "the request was answered by {}",
                other.short_description()
            ))),
        }
    }

    /// Returns the accepted context for an abstract syntax and a transfer syntax.
    pub fn context_for(&self, abstract_syntax: &str, transfer_syntax: &str) -> Option<u8> {
        self.contexts
            .iter()
            .find(|context| {
                context.result == 0
                    && context.abstract_syntax == abstract_syntax
                    && context.transfer_syntax == transfer_syntax
            })
            .map(|context| context.id)
    }

    /// Sends C-ECHO-RQ on a context and returns the response.
    ///
    /// # Errors
    /// When no response comes.
    pub async fn echo(&mut self, context: u8) -> Result<CommandSet> {
        self.message_id = self.message_id.wrapping_add(1);
        let request = CommandSet::echo_request(self.message_id);
        self.send_message(context, &request, None, usize::MAX).await?;
        self.receive_command().await
    }

    /// Sends C-STORE-RQ with a data set and returns the response.
    ///
    /// # Errors
    /// When no response comes.
    pub async fn store(
        &mut self,
        context: u8,
        sop_class_uid: &str,
        sop_instance_uid: &str,
        data_set: &[u8],
    ) -> Result<CommandSet> {
        self.message_id = self.message_id.wrapping_add(1);
        let request = CommandSet::store_request(self.message_id, sop_class_uid, sop_instance_uid);
        self.send_message(context, &request, Some(data_set), usize::MAX).await?;
        self.receive_command().await
    }

    /// Stores and returns the status alone.
    ///
    /// # Errors
    /// When no response with a status comes.
    pub async fn store_status(
        &mut self,
        context: u8,
        sop_class_uid: &str,
        sop_instance_uid: &str,
        data_set: &[u8],
    ) -> Result<Status> {
        let response = self.store(context, sop_class_uid, sop_instance_uid, data_set).await?;
        response.status().ok_or_else(|| anyhow!("the response has no status"))
    }

    /// Returns the message ID of the last request.
    pub fn last_message_id(&self) -> u16 {
        self.message_id
    }

    /// Sends a command and its data set, in fragments of at most `fragment` bytes and never above the peer's maximum.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn send_message(
        &mut self,
        context: u8,
        command: &CommandSet,
        data_set: Option<&[u8]>,
        fragment: usize,
    ) -> Result<()> {
        let limit = if self.peer_maximum_length == 0 {
            OUR_MAXIMUM_LENGTH
        } else {
            self.peer_maximum_length.min(OUR_MAXIMUM_LENGTH)
        };
        let fragment = fragment.min(usize::try_from(limit)?.saturating_sub(6)).max(1);
        let command = command.encode();
        let data = data_set.unwrap_or_default();
        let mut out = Vec::with_capacity(command.len() + data.len() + 4096);
        put_fragments(&mut out, context, 0b01, &command, fragment);
        if data_set.is_some() {
            put_fragments(&mut out, context, 0b00, data, fragment);
        }
        self.send_bytes(&out).await
    }

    /// Sends bytes as they are; for checks of what no well-behaved peer sends.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes))
            .await
            .map_err(|_| anyhow!("the peer stopped reading"))?
            .context("sending")
    }

    /// Receives a command set; its data set, when it has one, is dropped.
    ///
    /// # Errors
    /// When the peer aborts, closes or sends something else.
    pub async fn receive_command(&mut self) -> Result<CommandSet> {
        let mut bytes = Vec::new();
        loop {
            match self.receive_pdu().await? {
                Pdu::PData { data } => {
                    for value in data {
                        if value.value_type != PDataValueType::Command {
                            continue;
                        }
                        bytes.extend_from_slice(&value.data);
                        if value.is_last {
                            return CommandSet::decode(&bytes).ok_or_else(|| anyhow!("the response is no command set"));
                        }
                    }
                }
                other => bail!("instead of a response came {}", other.short_description()),
            }
        }
    }

    /// Releases the association (PS3.8 9.3.6).
    ///
    /// # Errors
    /// When the peer does not answer with A-RELEASE-RP.
    pub async fn release(mut self) -> Result<()> {
        self.send_pdu(&Pdu::ReleaseRQ).await?;
        match self.receive_pdu().await? {
            Pdu::ReleaseRP => Ok(()),
            other => bail!("A-RELEASE-RQ was answered by {}", other.short_description()),
        }
    }

    /// Aborts the association: an A-ABORT and the end of the connection.
    ///
    /// # Errors
    /// When the connection broke before.
    pub async fn abort(mut self) -> Result<()> {
        self.send_bytes(&[7, 0, 0, 0, 0, 4, 0, 0, 0, 0]).await
    }

    /// Returns the next PDU.
    ///
    /// # Errors
    /// When the connection ends or nothing comes for a minute.
    pub async fn receive_pdu(&mut self) -> Result<Pdu> {
        // Not strict: a peer's PDU is judged by the case, not by the reader. The limit leaves room for long ACs.
        let read = read_pdu_from_wire_async(&mut self.stream, &mut self.buffer, OUR_MAXIMUM_LENGTH, false);
        timeout(PATIENCE, read)
            .await
            .map_err(|_| anyhow!("no PDU came for {} s", PATIENCE.as_secs()))?
            .context("receiving")
    }

    async fn send_pdu(&mut self, pdu: &Pdu) -> Result<()> {
        let mut bytes = Vec::new();
        write_pdu(&mut bytes, pdu)?;
        self.send_bytes(&bytes).await
    }
}

fn request(offer: &Offer) -> Pdu {
    let mut user_variables = vec![
        UserVariableItem::MaxLength(offer.maximum_length),
        UserVariableItem::ImplementationClassUID(super::IMPLEMENTATION_CLASS_UID.into()),
        UserVariableItem::ImplementationVersionName(super::IMPLEMENTATION_VERSION_NAME.into()),
    ];
    user_variables.extend(
        offer
            .user_items
            .iter()
            .map(|(kind, content)| UserVariableItem::Unknown(*kind, content.clone())),
    );
    Pdu::AssociationRQ(AssociationRQ {
        protocol_version: 1,
        calling_ae_title: offer.calling_ae_title.clone(),
        called_ae_title: offer.called_ae_title.clone(),
        application_context_name: offer.application_context.clone(),
        presentation_contexts: offer
            .contexts
            .iter()
            .zip((1..=255_u8).step_by(2))
            .map(|(context, id)| PresentationContextProposed {
                id,
                abstract_syntax: context.abstract_syntax.clone(),
                transfer_syntaxes: context.transfer_syntaxes.clone(),
            })
            .collect(),
        user_variables,
    })
}

/// Appends one P-DATA-TF for each fragment (PS3.8 9.3.5); bit 0 of the header is the command, bit 1 the last fragment.
fn put_fragments(out: &mut Vec<u8>, context: u8, kind: u8, bytes: &[u8], fragment: usize) {
    let mut rest = bytes;
    loop {
        let (now, later) = rest.split_at_checked(fragment).unwrap_or((rest, &[]));
        let length = u32::try_from(now.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&[4, 0]);
        out.extend_from_slice(&(length + 6).to_be_bytes());
        out.extend_from_slice(&(length + 2).to_be_bytes());
        out.extend_from_slice(&[context, kind | if later.is_empty() { 0b10 } else { 0 }]);
        out.extend_from_slice(now);
        rest = later;
        if rest.is_empty() {
            return;
        }
    }
}

fn numbers(source: &AssociationRJSource) -> (u8, u8) {
    match source {
        AssociationRJSource::ServiceUser(reason) => (
            1,
            match reason {
                User::NoReasonGiven => 1,
                User::ApplicationContextNameNotSupported => 2,
                User::CallingAETitleNotRecognized => 3,
                User::CalledAETitleNotRecognized => 7,
                User::Reserved(code) => *code,
            },
        ),
        AssociationRJSource::ServiceProviderASCE(reason) => (
            2,
            match reason {
                Asce::NoReasonGiven => 1,
                Asce::ProtocolVersionNotSupported => 2,
            },
        ),
        AssociationRJSource::ServiceProviderPresentation(reason) => (
            3,
            match reason {
                Presentation::TemporaryCongestion => 1,
                Presentation::LocalLimitExceeded => 2,
                Presentation::Reserved(code) => *code,
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_carry_every_byte_and_only_the_last_one_is_marked() {
        let mut out = Vec::new();
        put_fragments(&mut out, 3, 0, &[9; 10], 4);
        let mut lengths = Vec::new();
        let mut marks = Vec::new();
        let mut rest = out.as_slice();
        while !rest.is_empty() {
            let pdu = dicom_ul::pdu::read_pdu(&mut rest, 16_384, true).unwrap().unwrap();
            let Pdu::PData { data } = pdu else { panic!("no P-DATA") };
            lengths.push(data[0].data.len());
            marks.push(data[0].is_last);
        }
        assert_eq!(lengths, [4, 4, 2]);
        assert_eq!(marks, [false, false, true]);
    }

    #[test]
    fn an_empty_data_set_is_still_one_last_fragment() {
        let mut out = Vec::new();
        put_fragments(&mut out, 1, 0, &[], 100);
        assert_eq!(out.len(), 12);
        assert_eq!(out[11], 0b10);
    }
}
