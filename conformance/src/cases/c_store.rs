//! C-STORE as a Service Class Provider (PS3.4 Annex B; PS3.7 9.1.1).

use super::association::{entity, open};
use super::cases;
use crate::data_set::{DataSet, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, tags};
use crate::dimse::{Association, CommandSet, Context, Status};
use crate::discover::{self, Located};
use crate::report::{Objection, Verdict, expect, not_applicable};
use crate::sample::{CT_IMAGE_STORAGE, Sample};
use crate::world::{Identity, World};

cases! {
    "PS3.4-B.2-01", "PS3.7 9.1.1, 9.3.1.2", "C-STORE answers 0000 and repeats message ID and UIDs", answers;
    "PS3.4-B.2-02", "PS3.4 B.2.3", "An instance is found as soon as its C-STORE was answered", found_at_once;
    "PS3.4-B.2-03", "PS3.5 A.1", "An instance in Implicit VR Little Endian is stored", implicit;
    "PS3.4-B.2-04", "PS3.4 B.2.3", "The same instance again answers 0000 and adds nothing", same_again;
    "PS3.4-B.2-05", "PS3.4 B.2.3", "Other content under a stored UID does not answer 0000", conflict;
    "PS3.4-B.2-06", "PS3.4 Table B.2-1", "Command and data set with different instance UIDs answer A9xx or Cxxx", uid_mismatch;
    "PS3.4-B.2-07", "PS3.4 Table B.2-1", "A data set without Study Instance UID is not answered by A7xx", no_study_uid;
    "PS3.4-B.2-08", "PS3.4 Table B.2-1", "Bytes that are no data set answer Cxxx or A9xx, and the association lives on", random_bytes;
    "PS3.4-B.2-09", "PS3.4 Table B.2-1", "Pixel data that are cut off answer Cxxx or A9xx", cut_off;
    "PS3.4-B.2-10", "PS3.8 9.3.5", "A data set in fragments of 300 bytes is stored", small_fragments;
    "PS3.4-B.2-11", "PS3.4 B.2", "Four associations into one new series give exact counts", parallel;
    "PS3.4-B.2-12", "PS3.8 9.3.8", "An abort in the middle of a data set leaves nothing behind", abort_half_way;
    "PS3.4-B.2-13", "PS3.4 B.2", "STOW-RS of what came by C-STORE adds no second copy", both_ways;
}

fn storage(transfer_syntax: &str) -> Vec<Context> {
    vec![Context::new(CT_IMAGE_STORAGE, transfer_syntax)]
}

async fn associate(world: &World, transfer_syntax: &str) -> Result<Association, Objection> {
    let association = open(entity(world)?, storage(transfer_syntax)).await?;
    let result = association.contexts.first().map(|context| context.result);
    expect(result == Some(0), || {
        format!("the context for CT Image Storage was refused with {result:?}")
    })?;
    Ok(association)
}

fn sample(set: &DataSet) -> Sample {
    Sample::from_data_set(set, EXPLICIT_VR_LITTLE_ENDIAN)
}

async fn send(association: &mut Association, sample: &Sample) -> anyhow::Result<Status> {
    association
        .store_status(1, &sample.sop_class_uid, &sample.sop_instance_uid, &sample.data_set)
        .await
}

/// Sends one instance on an association of its own.
async fn send_alone(world: &World, sample: &Sample) -> Result<Status, Objection> {
    let mut association = associate(world, &sample.transfer_syntax_uid).await?;
    let status = send(&mut association, sample).await?;
    association.release().await?;
    Ok(status)
}

/// Returns where an instance is that was sent by C-STORE.
///
/// C-STORE says nothing of new UIDs. The same bytes by STOW-RS do: they are the same content and their answer names the
/// stored copy, provided that AE title and token lead to the same place.
async fn located(world: &World, sample: &Sample) -> Result<Located, Objection> {
    let sent = Located::as_sent(sample);
    if discover::is_found(&world.web, &sent).await? {
        return Ok(sent);
    }
    if world.identity == Some(Identity::Kept) {
        return Err(Objection::Fail(
            "the C-STORE was answered with success, and a search does not find the instance".into(),
        ));
    }
    let body = crate::multipart::of_files([sample.file.as_ref()]);
    let answer = world.web.store(None, body).await?;
    discover::locate(&world.web, &answer, sample)
        .await?
        .ok_or_else(|| not_applicable("the archive replaces identifiers and does not say what the instance is called"))
}

async fn answers(world: &World) -> Verdict {
    let sample = sample(&world.maker.ct("c-store", 1, 1));
    let mut association = associate(world, EXPLICIT_VR_LITTLE_ENDIAN).await?;
    let response = association
        .store(1, &sample.sop_class_uid, &sample.sop_instance_uid, &sample.data_set)
        .await?;
    let message_id = association.last_message_id();
    association.release().await?;
    expect(response.status() == Some(Status::SUCCESS), || {
        format!("status {:?}", response.status())
    })?;
    expect(response.get_number(0x0100) == Some(0x8001), || {
        format!("command field {:?}", response.get_number(0x0100))
    })?;
    expect(response.get_number(0x0120) == Some(message_id), || {
        "the message ID being responded to is another one".into()
    })?;
    expect(response.get_number(0x0800) == Some(0x0101), || {
        "the response says that it has a data set".into()
    })?;
    let uid = response.get_uid(0x1000);
    expect(uid.as_deref().is_none_or(|uid| uid == sample.sop_instance_uid), || {
        "another Affected SOP Instance UID".into()
    })
}

async fn found_at_once(world: &World) -> Verdict {
    entity(world)?;
    world.needs_kept_identity()?;
    let mut association = associate(world, EXPLICIT_VR_LITTLE_ENDIAN).await?;
    for number in 1..=5 {
        let sample = sample(&world.maker.ct("at once", 1, number));
        let status = send(&mut association, &sample).await?;
        expect(status.is_taken(), || format!("status {status}"))?;
        let found = discover::is_found(&world.web, &Located::as_sent(&sample)).await?;
        expect(found, || {
            format!("instance {number} was answered with {status} and is not found")
        })?;
    }
    // An abort after the answers must not undo them.
    association.abort().await?;
    let study = Located::as_sent(&sample(&world.maker.ct("at once", 1, 1))).study;
    let count = discover::count_instances(&world.web, &study, 5).await?;
    expect(count == 5, || format!("{count} of 5 are found after an abort"))
}

async fn implicit(world: &World) -> Verdict {
    entity(world)?;
    let set = world.maker.ct("c-store implicit", 1, 1);
    let sample = Sample::from_data_set(&set, IMPLICIT_VR_LITTLE_ENDIAN);
    let status = send_alone(world, &sample).await?;
    expect(status.is_taken(), || format!("status {status}"))?;
    let located = located(world, &sample).await?;
    let answer = world
        .web
        .get(&located.instance_path(), crate::web::media::INSTANCES)
        .await?;
    let part = answer.first_part()?;
    expect(
        Some(crate::sample::pixel_data(&part)?.as_slice()) == set.value(tags::PIXEL_DATA),
        || "the pixel data differ".into(),
    )
}

async fn same_again(world: &World) -> Verdict {
    entity(world)?;
    let sample = sample(&world.maker.ct("c-store again", 1, 1));
    for _ in 0..2 {
        let status = send_alone(world, &sample).await?;
        expect(status == Status::SUCCESS, || format!("status {status}"))?;
    }
    let located = located(world, &sample).await?;
    let count = discover::count_instances(&world.web, &located.study, 1).await?;
    expect(count == 1, || format!("the study shows {count} instances"))
}

async fn conflict(world: &World) -> Verdict {
    entity(world)?;
    let mut set = world.maker.ct("c-store conflict", 1, 1);
    let first = sample(&set);
    let status = send_alone(world, &first).await?;
    expect(status.is_taken(), || format!("status {status}"))?;
    let mut pixels = set.value(tags::PIXEL_DATA).unwrap_or_default().to_vec();
    pixels.iter_mut().step_by(2).for_each(|byte| *byte ^= 0x55);
    set.bytes(tags::PIXEL_DATA, "OW", pixels);
    let status = send_alone(world, &sample(&set)).await?;
    expect(status != Status::SUCCESS, || {
        "0000 for other content under a stored UID".into()
    })?;
    let located = located(world, &first).await?;
    let answer = world
        .web
        .get(&located.instance_path(), crate::web::media::INSTANCES)
        .await?;
    let part = answer.first_part()?;
    let same = crate::sample::pixel_data(&part)? == crate::sample::pixel_data(&first.file)?;
    expect(same, || "the first instance was changed".into())
}

async fn uid_mismatch(world: &World) -> Verdict {
    entity(world)?;
    let sample = sample(&world.maker.ct("mismatch", 1, 1));
    let other = crate::phantom::uid(&["mismatch", &sample.sop_instance_uid]);
    let mut association = associate(world, EXPLICIT_VR_LITTLE_ENDIAN).await?;
    let status = association
        .store_status(1, &sample.sop_class_uid, &other, &sample.data_set)
        .await?;
    association.release().await?;
    expect(status.blames_the_object(), || format!("status {status}"))
}

async fn no_study_uid(world: &World) -> Verdict {
    entity(world)?;
    let mut set = world.maker.ct("c-store no study uid", 1, 1);
    set.remove(tags::STUDY_INSTANCE_UID);
    // Kept aside is as good as refused; what must not be is A7xx, for which every sender tries again for ever.
    let status = send_alone(world, &sample(&set)).await?;
    expect(status.blames_the_object() || status.is_taken(), || {
        format!("status {status}")
    })
}

async fn random_bytes(world: &World) -> Verdict {
    entity(world)?;
    let uid = crate::phantom::uid(&["random bytes"]);
    let mut numbers = crate::phantom::Numbers::named(&["random bytes"]);
    let bytes: Vec<u8> = (0..512).flat_map(|_| numbers.draw().to_le_bytes()).collect();
    let mut association = associate(world, EXPLICIT_VR_LITTLE_ENDIAN).await?;
    let status = association.store_status(1, CT_IMAGE_STORAGE, &uid, &bytes).await?;
    expect(status.blames_the_object(), || format!("status {status}"))?;
    let good = sample(&world.maker.ct("after random bytes", 1, 1));
    let status = send(&mut association, &good).await?;
    association.release().await?;
    expect(status.is_taken(), || {
        format!("a good instance afterwards answers {status}")
    })
}

async fn cut_off(world: &World) -> Verdict {
    entity(world)?;
    let sample = sample(&world.maker.ct("c-store cut off", 1, 1));
    let cut = sample.data_set.slice(..sample.data_set.len() - 1001);
    let mut association = associate(world, EXPLICIT_VR_LITTLE_ENDIAN).await?;
    let status = association
        .store_status(1, &sample.sop_class_uid, &sample.sop_instance_uid, &cut)
        .await?;
    association.release().await?;
    expect(status.blames_the_object(), || format!("status {status}"))?;
    let found = discover::is_found(&world.web, &Located::as_sent(&sample)).await?;
    expect(!found, || "the cut instance is found".into())
}

async fn small_fragments(world: &World) -> Verdict {
    entity(world)?;
    let sample = sample(&world.maker.ct("small fragments", 1, 1));
    let mut association = associate(world, EXPLICIT_VR_LITTLE_ENDIAN).await?;
    let request = CommandSet::store_request(1, &sample.sop_class_uid, &sample.sop_instance_uid);
    association
        .send_message(1, &request, Some(&sample.data_set), 300)
        .await?;
    let status = association.receive_command().await?.status();
    association.release().await?;
    expect(status.is_some_and(Status::is_taken), || format!("status {status:?}"))
}

async fn parallel(world: &World) -> Verdict {
    entity(world)?;
    let samples = world.maker.ct_series("c-store parallel", 1, 24);
    let sending = samples.chunks(6).map(|share| async move {
        let mut association = associate(world, EXPLICIT_VR_LITTLE_ENDIAN).await?;
        for sample in share {
            let status = send(&mut association, sample).await?;
            expect(status.is_taken(), || format!("status {status}"))?;
        }
        Ok::<_, Objection>(association.release().await?)
    });
    futures::future::try_join_all(sending).await?;
    let Some(first) = samples.first() else { return Ok(()) };
    let study = located(world, first).await?.study;
    let count = discover::count_instances(&world.web, &study, samples.len()).await?;
    expect(count == samples.len(), || {
        format!("{} were sent, {count} are found", samples.len())
    })?;
    let rows = world.web.search(&format!("/studies/{study}/series")).await?;
    let counts: Vec<_> = rows.iter().map(|row| row.number((0x0020, 0x1209))).collect();
    expect(counts == [Some(24)], || {
        format!("instances of the series: {counts:?}, expected one series with 24")
    })
}

async fn abort_half_way(world: &World) -> Verdict {
    entity(world)?;
    let sample = sample(&world.maker.ct("abort", 1, 1));
    let mut association = associate(world, EXPLICIT_VR_LITTLE_ENDIAN).await?;
    let request = CommandSet::store_request(1, &sample.sop_class_uid, &sample.sop_instance_uid);
    association.send_message(1, &request, None, usize::MAX).await?;
    // One fragment, not the last one, by hand: message control header 0.
    let half = sample.data_set.slice(..sample.data_set.len() / 2);
    let length = u32::try_from(half.len()).unwrap_or(0);
    let mut pdu = vec![4, 0];
    pdu.extend_from_slice(&(length + 6).to_be_bytes());
    pdu.extend_from_slice(&(length + 2).to_be_bytes());
    pdu.extend_from_slice(&[1, 0]);
    pdu.extend_from_slice(&half);
    association.send_bytes(&pdu).await?;
    association.abort().await?;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let found = discover::is_found(&world.web, &Located::as_sent(&sample)).await?;
    expect(!found, || "half an instance is found".into())?;
    let status = send_alone(world, &sample).await?;
    expect(status.is_taken(), || {
        format!("the whole instance afterwards answers {status}")
    })
}

async fn both_ways(world: &World) -> Verdict {
    entity(world)?;
    let sample = sample(&world.maker.ct("both ways", 1, 1));
    let status = send_alone(world, &sample).await?;
    expect(status.is_taken(), || format!("status {status}"))?;
    let answer = world
        .web
        .store(None, crate::multipart::of_files([sample.file.as_ref()]))
        .await?;
    answer.expect_status(&[200, 202])?;
    let located = discover::locate(&world.web, &answer, &sample)
        .await?
        .ok_or_else(|| not_applicable("the archive took the instance but does not show it"))?;
    let count = discover::count_instances(&world.web, &located.study, 1).await?;
    expect(count == 1, || format!("the study shows {count} instances"))
}
