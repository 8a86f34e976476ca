//! PDUs become messages: a command set, and the data set that follows it, fragment by fragment.
//!
//! A peer may cut as it likes: many values in one PDU, one value over many PDUs, fragments of one byte, the end of a
//! command set and the beginning of the data set in one PDU. What it may not do is mix: between the first and the last
//! fragment of a message nothing of another may come (PS3.7 Annex D.1, PS3.8 Annex E).

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;

use super::Ending;
use super::negotiate::{AcceptedContext, Contexts};
use crate::DimseSettings;
use crate::command::{Command, MAX_COMMAND_SET_LENGTH, Response};
use crate::pdu::{PduType, Pdv, Pdvs, Violation, frame_command};
use crate::transport::{Patience, Transport, Wire};

/// Fragments below this size are gathered: each handed on alone would cost its holder more than it weighs.
const SMALL_FRAGMENT: usize = 4 * 1024;
/// What is gathered is handed on at this size.
const GATHERED: usize = 64 * 1024;

/// An open association, message by message.
#[derive(Debug)]
pub(crate) struct Association<T> {
    wire: Wire<T>,
    contexts: Contexts,
    pdvs: Pdvs,
    between_messages: Patience,
    inside_message: Patience,
    max_pdu_length: u32,
    peer_max_pdu_length: u32,
    stopping: watch::Receiver<bool>,
}

/// A command with the presentation context that it came in.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) context_id: u8,
    pub(crate) context: AcceptedContext,
    pub(crate) command: Command,
}

impl<T: Transport> Association<T> {
    pub(crate) fn new(
        mut wire: Wire<T>,
        contexts: Contexts,
        peer_max_pdu_length: u32,
        settings: &DimseSettings,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        wire.expect_pdus_of(settings.max_pdu_length);
        Self {
            wire,
            contexts,
            pdvs: Pdvs::default(),
            between_messages: Patience::Idle {
                first: settings.idle_timeout,
                next: settings.read_stall_timeout,
            },
            inside_message: Patience::Inside {
                next: settings.read_stall_timeout,
            },
            max_pdu_length: settings.max_pdu_length,
            peer_max_pdu_length,
            stopping,
        }
    }

    /// Waits for the next command.
    ///
    /// # Errors
    /// The way in which the association ended instead.
    pub(crate) async fn next_message(&mut self) -> Result<Message, Ending> {
        let first = self.first_pdv().await?;
        let context_id = first.context_id;
        if !first.is_command {
            return Err(Violation::unexpected_parameter("data set without a command").into());
        }
        let mut last = first.is_last;
        // Nearly always the whole command set is one fragment, and is decoded where it lies.
        let mut command_set = first.fragment;
        if !last {
            let mut gathered = BytesMut::from(command_set.as_ref());
            while !last {
                let pdv = self.next_pdv(self.inside_message).await?;
                if !pdv.is_command || pdv.context_id != context_id {
                    return Err(Violation::unexpected_parameter("command set interrupted").into());
                }
                gathered.extend_from_slice(&pdv.fragment);
                if gathered.len() > MAX_COMMAND_SET_LENGTH {
                    return Err(Violation::invalid_parameter("command set too long").into());
                }
                last = pdv.is_last;
            }
            command_set = gathered.freeze();
        }
        let command = Command::decode(&command_set).map_err(|error| {
            tracing::debug!(%error, "command set cannot be answered");
            Violation::invalid_parameter("command set cannot be answered")
        })?;
        let context = self.contexts.get(context_id).cloned();
        Ok(Message {
            context_id,
            context: context.ok_or(Violation::invalid_parameter("unknown presentation context"))?,
            command,
        })
    }

    /// Returns the data set that follows a command.
    pub(crate) fn data_set(&mut self, message: &Message) -> DataSet<'_, T> {
        DataSet {
            context_id: message.context_id,
            ended: !message.command.has_data_set,
            large: None,
            association: self,
        }
    }

    /// Sends a response: one write.
    ///
    /// # Errors
    /// When the peer is gone or takes nothing.
    pub(crate) async fn respond(&mut self, context_id: u8, response: &Response) -> Result<(), Ending> {
        let framed = frame_command(context_id, &response.encode(), self.peer_max_pdu_length);
        self.wire.send(&framed).await
    }

    /// Gives the connection back, for the farewell.
    pub(crate) fn into_wire(self) -> Wire<T> {
        self.wire
    }

    /// Waits for the first value of a message; the only place where a shutdown is noticed.
    async fn first_pdv(&mut self) -> Result<Pdv, Ending> {
        let mut stopping = self.stopping.clone();
        let patience = self.between_messages;
        // Dropping the read is safe: what was received stays in the wire, and we end anyway.
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => Err(Ending::Stopping),
            pdv = self.next_pdv(patience) => pdv,
        }
    }

    async fn next_pdv(&mut self, patience: Patience) -> Result<Pdv, Ending> {
        loop {
            if let Some(pdv) = self.pdvs.take_next()? {
                if self.contexts.get(pdv.context_id).is_none() {
                    return Err(Violation::invalid_parameter("presentation context not accepted").into());
                }
                return Ok(pdv);
            }
            match self.wire.next_pdu(patience, self.max_pdu_length).await? {
                (PduType::PData, body) => self.pdvs = Pdvs::new(body)?,
                (PduType::ReleaseRq, _) => return Err(Ending::Released),
                (PduType::Abort, _) => return Err(Ending::Aborted),
                _ => return Err(Violation::unexpected_pdu("PDU out of order").into()),
            }
        }
    }
}

/// The data set of one message. Fragments come as they were received, in order; small ones are gathered.
#[derive(Debug)]
pub(crate) struct DataSet<'a, T> {
    association: &'a mut Association<T>,
    context_id: u8,
    ended: bool,
    /// A fragment that is handed on after the small ones before it.
    large: Option<Bytes>,
}

impl<T: Transport> DataSet<'_, T> {
    /// Waits for the next bytes; `None` after the last.
    ///
    /// # Errors
    /// The way in which the association ended before the data set did.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Ending> {
        if let Some(large) = self.large.take() {
            return Ok(Some(large));
        }
        let mut small = BytesMut::new();
        while !self.ended {
            let fragment = self.next_fragment().await?;
            if fragment.len() >= SMALL_FRAGMENT {
                if small.is_empty() {
                    return Ok(Some(fragment));
                }
                self.large = Some(fragment);
                break;
            }
            small.extend_from_slice(&fragment);
            if small.len() >= GATHERED {
                break;
            }
        }
        Ok((!small.is_empty()).then(|| small.freeze()))
    }

    /// Reads away what is left.
    ///
    /// # Errors
    /// The way in which the association ended before the data set did.
    pub(crate) async fn read_away(&mut self) -> Result<(), Ending> {
        self.large = None;
        while !self.ended {
            self.next_fragment().await?;
        }
        Ok(())
    }

    async fn next_fragment(&mut self) -> Result<Bytes, Ending> {
        let pdv = self.association.next_pdv(self.association.inside_message).await?;
        if pdv.is_command || pdv.context_id != self.context_id {
            return Err(Violation::unexpected_parameter("data set interrupted").into());
        }
        self.ended = pdv.is_last;
        Ok(pdv.fragment)
    }
}
