//! Associations and verification (PS3.8 section 9; PS3.7 9.1.5; PS3.4 Annex A).

use super::cases;
use crate::data_set::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};
use crate::dimse::{Association, Context, Offer, Refused, Status, VERIFICATION};
use crate::report::{Objection, Verdict, expect, not_applicable};
use crate::sample::CT_IMAGE_STORAGE;
use crate::target::ApplicationEntity;
use crate::world::World;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

cases! {
    "PS3.7-9.1.5-01", "PS3.7 9.1.5, 9.3.5", "C-ECHO answers 0000 and repeats message ID and SOP class", echo;
    "PS3.7-9.1.5-02", "PS3.8 9.3.6", "Several C-ECHO on one association, then release, are answered in order", echo_and_release;
    "PS3.8-9.3.4-01", "PS3.8 9.3.4", "An unknown called AE title is rejected 1/1/7", unknown_called;
    "PS3.8-9.3.4-02", "PS3.8 9.3.4", "An unknown application context is rejected 1/1/2", unknown_application_context;
    "PS3.8-9.3.3-01", "PS3.8 9.3.3.2", "An unknown abstract syntax is refused with 3 or taken by option, others are accepted", unknown_abstract;
    "PS3.8-9.3.3-02", "PS3.8 9.3.3.2", "A context with only unknown transfer syntaxes is refused with 4 or taken by option", unknown_transfer;
    "PS3.8-9.3.3-03", "PS3.8 9.3.2.2", "128 presentation contexts are each answered", many_contexts;
    "PS3.8-9.3.3-04", "PS3.5 10.1", "Implicit VR Little Endian alone is accepted for Storage", implicit_alone;
    "PS3.8-9.3.3-05", "PS3.7 D.3.3", "Unknown user information and an asynchronous window are no reason to refuse", user_items;
    "PS3.8-9.2-01", "PS3.8 9.3.8", "Bytes that are no PDU end the connection, and the next association is served", nonsense;
    "PS3.8-9.2-02", "PS3.8 9.3.1", "A PDU that claims 4 GiB ends the connection without being waited for", huge_pdu;
    "PS3.8-9.2-03", "PS3.8 9.3.5", "Fragments of two bytes are put together", tiny_fragments;
    "PS3.8-9.2-04", "PS3.8 9.2", "Twelve associations at once are served", many_associations;
    "PS3.8-9.2-05", "PS3.8 9.3.8", "P-DATA on a context that was not accepted is answered by A-ABORT", unaccepted_context;
}

/// Returns the application entity, or why the case does not apply.
pub(super) fn entity(world: &World) -> Result<&ApplicationEntity, Objection> {
    world
        .target
        .dimse
        .as_ref()
        .ok_or_else(|| not_applicable("no --dimse was given"))
}

fn verification() -> Vec<Context> {
    vec![Context::new(VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN)]
}

/// Opens an association; a refusal fails the case.
pub(super) async fn open(entity: &ApplicationEntity, contexts: Vec<Context>) -> Result<Association, Objection> {
    open_offer(entity, &Offer::to(entity, contexts)).await
}

async fn open_offer(entity: &ApplicationEntity, offer: &Offer) -> Result<Association, Objection> {
    Association::open(&entity.address, offer)
        .await
        .map_err(|refused| Objection::Fail(refused.to_string()))
}

/// Returns the result of the only context of an association that is opened for it, and of Verification beside it.
async fn results(world: &World, context: Context) -> Result<(u8, u8), Objection> {
    let entity = entity(world)?;
    let association = open(
        entity,
        vec![context, Context::new(VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN)],
    )
    .await?;
    let mut results = association.contexts.iter().map(|context| context.result);
    let both = (results.next().unwrap_or(u8::MAX), results.next().unwrap_or(u8::MAX));
    association.release().await?;
    Ok(both)
}

async fn still_serves(world: &World) -> Verdict {
    let mut association = open(entity(world)?, verification()).await?;
    let status = association.echo(1).await?.status();
    association.release().await?;
    expect(status == Some(Status::SUCCESS), || {
        format!("C-ECHO afterwards answers {status:?}")
    })
}

async fn echo(world: &World) -> Verdict {
    let mut association = open(entity(world)?, verification()).await?;
    let response = association.echo(1).await?;
    let sent = association.last_message_id();
    association.release().await?;
    expect(response.status() == Some(Status::SUCCESS), || {
        format!("status {:?}", response.status())
    })?;
    expect(response.get_number(0x0100) == Some(0x8030), || {
        format!("command field {:?}", response.get_number(0x0100))
    })?;
    expect(response.get_number(0x0120) == Some(sent), || {
        "the message ID being responded to is another one".into()
    })?;
    expect(response.get_number(0x0800) == Some(0x0101), || {
        "the response says that it has a data set".into()
    })?;
    let class = response.get_uid(0x0002);
    expect(class.as_deref().is_none_or(|class| class == VERIFICATION), || {
        format!("Affected SOP Class UID {class:?}")
    })
}

async fn echo_and_release(world: &World) -> Verdict {
    let mut association = open(entity(world)?, verification()).await?;
    for _ in 0..5 {
        let response = association.echo(1).await?;
        expect(
            response.get_number(0x0120) == Some(association.last_message_id()),
            || "answers out of order".into(),
        )?;
    }
    Ok(association.release().await?)
}

async fn rejected(entity: &ApplicationEntity, offer: &Offer, wanted: (u8, u8, u8)) -> Verdict {
    match Association::open(&entity.address, offer).await {
        Ok(association) => {
            association.release().await?;
            Err(Objection::Fail("the association was accepted".into()))
        }
        Err(Refused::Rejected(seen)) => expect((seen.result, seen.source, seen.reason) == wanted, || {
            format!("{seen}, expected {wanted:?}")
        }),
        Err(Refused::Broken(error)) => Err(Objection::Fail(format!("{error:#}"))),
    }
}

async fn unknown_called(world: &World) -> Verdict {
    let entity = entity(world)?;
    let mut offer = Offer::to(entity, verification());
    offer.called_ae_title = "NO_SUCH_ARCHIVE".into();
    rejected(entity, &offer, (1, 1, 7)).await
}

async fn unknown_application_context(world: &World) -> Verdict {
    let entity = entity(world)?;
    let mut offer = Offer::to(entity, verification());
    offer.application_context = "1.2.3.4.5".into();
    rejected(entity, &offer, (1, 1, 2)).await
}

async fn unknown_abstract(world: &World) -> Verdict {
    // Under no storage-like root, so an archive that takes unknown storage classes has no reason to take it either.
    let (unknown, verification) = results(world, Context::new("1.2.3.4.5.6.7", IMPLICIT_VR_LITTLE_ENDIAN)).await?;
    expect(verification == 0, || {
        format!("Verification was refused with {verification}")
    })?;
    expect(unknown == 3 || unknown == 0, || format!("result {unknown}, expected 3"))
}

async fn unknown_transfer(world: &World) -> Verdict {
    let (unknown, verification) = results(world, Context::new(CT_IMAGE_STORAGE, "1.2.3.4.5.6.7")).await?;
    expect(verification == 0, || {
        format!("Verification was refused with {verification}")
    })?;
    expect(unknown == 4 || unknown == 0, || format!("result {unknown}, expected 4"))
}

async fn many_contexts(world: &World) -> Verdict {
    let contexts = (0..128)
        .map(|_| Context::new(CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN))
        .collect();
    let association = open(entity(world)?, contexts).await?;
    let accepted = association
        .contexts
        .iter()
        .filter(|context| context.result == 0)
        .count();
    association.release().await?;
    expect(accepted == 128, || format!("{accepted} of 128 were accepted"))
}

async fn implicit_alone(world: &World) -> Verdict {
    let (storage, _) = results(world, Context::new(CT_IMAGE_STORAGE, IMPLICIT_VR_LITTLE_ENDIAN)).await?;
    expect(storage == 0, || format!("result {storage}"))
}

async fn user_items(world: &World) -> Verdict {
    let entity = entity(world)?;
    let mut offer = Offer::to(entity, verification());
    offer.user_items = vec![(0x53, vec![0, 5, 0, 5]), (0x5F, vec![1, 2, 3, 4])];
    let mut association = open_offer(entity, &offer).await?;
    let status = association.echo(1).await?.status();
    association.release().await?;
    expect(status == Some(Status::SUCCESS), || format!("C-ECHO answers {status:?}"))
}

/// Sends bytes on a fresh connection and returns whether the peer ended it within that time.
async fn is_closed_after(entity: &ApplicationEntity, bytes: &[u8], patience: Duration) -> Result<bool, Objection> {
    let mut stream = TcpStream::connect(&entity.address).await.map_err(anyhow::Error::from)?;
    // The peer may close while we still write; that is the answer we wait for.
    let _ = stream.write_all(bytes).await;
    let mut sink = Vec::new();
    Ok(tokio::time::timeout(patience, stream.read_to_end(&mut sink))
        .await
        .is_ok())
}

async fn nonsense(world: &World) -> Verdict {
    let entity = entity(world)?;
    let lines: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
        &[0xff; 64],
        &[9, 0, 0, 0, 0, 0],
    ];
    // The first of them may look like a PDU that has not ended yet: then the ARTIM timer has to end it.
    let ended = lines
        .iter()
        .map(|bytes| is_closed_after(entity, bytes, Duration::from_secs(35)));
    let open = futures::future::try_join_all(ended)
        .await?
        .iter()
        .filter(|closed| !**closed)
        .count();
    expect(open == 0, || {
        format!("{open} of 4 connections are open 35 s after bytes that are no PDU")
    })?;
    still_serves(world).await
}

async fn huge_pdu(world: &World) -> Verdict {
    let entity = entity(world)?;
    let closed = is_closed_after(entity, &[1, 0, 0xff, 0xff, 0xff, 0xff, 0, 1], Duration::from_secs(35)).await?;
    expect(closed, || "the connection is open 35 s after a length of 4 GiB".into())?;
    still_serves(world).await
}

async fn tiny_fragments(world: &World) -> Verdict {
    let mut association = open(entity(world)?, verification()).await?;
    association
        .send_message(1, &crate::dimse::CommandSet::echo_request(9), None, 2)
        .await?;
    let response = association.receive_command().await?;
    association.release().await?;
    expect(response.status() == Some(Status::SUCCESS), || {
        format!("status {:?}", response.status())
    })
}

async fn many_associations(world: &World) -> Verdict {
    let entity = entity(world)?;
    let mut open_ones = Vec::new();
    for _ in 0..12 {
        open_ones.push(open(entity, verification()).await?);
    }
    for association in &mut open_ones {
        let status = association.echo(1).await?.status();
        expect(status == Some(Status::SUCCESS), || format!("C-ECHO answers {status:?}"))?;
    }
    for association in open_ones {
        association.release().await?;
    }
    Ok(())
}

async fn unaccepted_context(world: &World) -> Verdict {
    let mut association = open(entity(world)?, verification()).await?;
    association
        .send_message(99, &crate::dimse::CommandSet::echo_request(1), None, usize::MAX)
        .await?;
    match association.receive_pdu().await {
        Ok(dicom_ul::Pdu::AbortRQ { .. }) | Err(_) => still_serves(world).await,
        Ok(other) => Err(Objection::Fail(format!("answered by {}", other.short_description()))),
    }
}
