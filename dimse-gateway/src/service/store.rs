//! C-STORE, PS3.4 Annex B: an instance goes to the sink, fragment by fragment, and the sink's word is the answer.
//!
//! The response is sent only after the sink's `finish` has returned, so success means that the instance is durable. A
//! sink that refuses early, before the first byte or in the middle, costs the peer nothing but the rest of the object,
//! which is read away: the association goes on with the next.

use std::time::Instant;

use isocenter_model::arrival::{Form, Refusal};
use isocenter_model::{Arrival, Outcome, Route, SopClassUid, SopInstanceUid, Source};

use crate::AssociationInfo;
use crate::association::{DataSet, Ending, Message, Shared};
use crate::command::{Field, Response};
use crate::sop_class::Service;
use crate::status::{Status, Verdict};
use crate::transport::Transport;

/// Receives the instance of a C-STORE-RQ and returns the response.
///
/// # Errors
/// The way in which the association ended before the instance was complete; nothing of it is kept.
pub(super) async fn receive<T: Transport>(
    shared: &Shared,
    info: &AssociationInfo,
    message: &Message,
    data_set: &mut DataSet<'_, T>,
) -> Result<Response, Ending> {
    let started = Instant::now();
    let mut bytes = 0;
    let verdict = match identify(message) {
        Ok(instance) => match find_route(shared, info).await {
            Ok(route) => hand_on(shared, arrival(info, message, route, instance), data_set, &mut bytes).await?,
            Err(verdict) => verdict,
        },
        Err(verdict) => verdict,
    };
    // The verdict may have come before the end of the data set.
    data_set.read_away().await?;

    let elapsed = started.elapsed();
    shared.observer.instance_answered(info, verdict.status, bytes, elapsed);
    if verdict.status.is_kept() {
        tracing::debug!(status = %verdict.status, bytes, ?elapsed, "instance received");
    } else {
        let comment = verdict.comment.as_deref().unwrap_or_default();
        tracing::warn!(status = %verdict.status, bytes, comment, "instance not stored");
    }
    Ok(Response::to(&message.command, verdict))
}

/// Takes class and instance from the command, or says what is wrong with it.
fn identify(message: &Message) -> Result<(SopClassUid, SopInstanceUid), Verdict> {
    if message.context.service != Service::Storage {
        return Err(Verdict::new(
            Status::SOP_CLASS_NOT_SUPPORTED,
            "presentation context is not one for storage",
        ));
    }
    let class = uid(
        &message.command.affected_sop_class_uid,
        "Affected SOP Class UID (0000,0002) is missing",
        "Affected SOP Class UID (0000,0002) is malformed",
    )?;
    let instance = uid(
        &message.command.affected_sop_instance_uid,
        "Affected SOP Instance UID (0000,1000) is missing",
        "Affected SOP Instance UID (0000,1000) is malformed",
    )?;
    if !message.command.has_data_set {
        return Err(Verdict::new(
            Status::CANNOT_UNDERSTAND,
            "Command Data Set Type (0000,0800) says no data set",
        ));
    }
    Ok((class, instance))
}

fn uid<T: Clone>(field: &Field<T>, missing: &str, malformed: &str) -> Result<T, Verdict> {
    match field {
        Field::Value(uid) => Ok(uid.clone()),
        Field::Missing => Err(Verdict::new(Status::DATA_SET_MISMATCH, missing)),
        Field::Malformed => Err(Verdict::new(Status::DATA_SET_MISMATCH, malformed)),
    }
}

/// Asks anew for every instance: routes may change while an association stays open all day.
async fn find_route(shared: &Shared, info: &AssociationInfo) -> Result<Route, Verdict> {
    let found = shared
        .router()
        .route(&info.called_ae_title, &info.calling_ae_title, info.peer)
        .await;
    match found {
        Ok(Some(route)) => Ok(route),
        Ok(None) => Err(Verdict::new(
            Status::NOT_AUTHORIZED,
            "called AE title no longer leads anywhere",
        )),
        Err(refusal) => Err(refusal.into()),
    }
}

fn arrival(
    info: &AssociationInfo,
    message: &Message,
    route: Route,
    (affected_sop_class_uid, affected_sop_instance_uid): (SopClassUid, SopInstanceUid),
) -> Arrival {
    Arrival {
        route,
        source: Source::Dimse {
            calling_ae_title: info.calling_ae_title.clone(),
            called_ae_title: info.called_ae_title.clone(),
            peer: info.peer,
        },
        form: Form::DataSet {
            transfer_syntax_uid: message.context.transfer_syntax_uid.clone(),
            affected_sop_class_uid,
            affected_sop_instance_uid,
        },
        bound_to_study: None,
        size_hint: None,
    }
}

/// Hands the fragments on as they come, and waits until the instance's fate is durable.
async fn hand_on<T: Transport>(
    shared: &Shared,
    arrival: Arrival,
    data_set: &mut DataSet<'_, T>,
    bytes: &mut u64,
) -> Result<Verdict, Ending> {
    let mut writer = match shared.sink.begin(arrival).await {
        Ok(writer) => writer,
        Err(refusal) => return Ok(note(refusal)),
    };
    while let Some(fragment) = data_set.next().await? {
        *bytes += fragment.len() as u64;
        if let Err(refusal) = writer.write(fragment).await {
            return Ok(note(refusal));
        }
    }
    let outcome = writer.finish().await;
    if let Outcome::Refused { refusal, .. } = &outcome {
        tracing::debug!(?refusal, "refused after its last byte");
    }
    Ok(Verdict::from(&outcome))
}

fn note(refusal: Refusal) -> Verdict {
    tracing::debug!(?refusal, "refused before its last byte");
    refusal.into()
}
