//! Many askers at the same time: room before reading, an end of the queue, one drawing for all.

use super::*;
use crate::cpu::{Cpu, MEMORY, Queue};

/// Returns the path of a stored image.
async fn image(client: &Client) -> String {
    client.store("/studies", &phantoms()).await;
    let row = client.get("/instances?Modality=CT&limit=1", JSON).await.json()[0].clone();
    format!(
        "/studies/{}/series/{}/instances/{}",
        text(&row, "0020000D"),
        text(&row, "0020000E"),
        text(&row, "00080018")
    )
}

/// Takes the packs away, so that whatever reads fails.
fn lose_the_packs(world: &World) {
    let blobs = world.archive.settings.store_url.to_file_path().unwrap();
    std::fs::rename(blobs.join("packs"), blobs.join("gone")).unwrap();
}

#[actix_web::test]
async fn a_long_queue_answers_503_before_anything_is_read() {
    let world = world().await;
    let client = client(&world, Some(&world.token)).await;
    let image = image(&client).await;
    let crowd = world.archive.cpu.crowd(Cpu::PLACES);
    lose_the_packs(&world);
    for path in ["rendered", "thumbnail", "frames/1/rendered"] {
        let answer = client.get(&format!("{image}/{path}"), "image/jpeg").await;
        assert_eq!(answer.status.as_u16(), 503, "{path}: {:?}", answer.body);
        assert_eq!(answer.header("retry-after"), "2", "{path}");
    }
    // Now it is its turn, and reading fails: that was not tried before.
    drop(crowd);
    assert_eq!(client.status(&format!("{image}/rendered"), "image/jpeg").await, 500);
}

#[actix_web::test]
async fn who_asks_for_the_same_picture_at_the_same_time_shares_it() {
    let world = world().await;
    let client = client(&world, Some(&world.token)).await;
    let image = image(&client).await;
    // One place is left, and no room: nobody ends before all have asked.
    let _crowd = world.archive.cpu.crowd(Cpu::PLACES - 1);
    let room = world.archive.cpu.room(MEMORY, Queue::Wait).await.unwrap();
    let path = format!("{image}/rendered?viewport=20,20");
    let askers = futures::future::join_all((0..6).map(|_| client.get(&path, "image/jpeg")));
    let other = async {
        while world.archive.cpu.askers() < Cpu::PLACES {
            tokio::task::yield_now().await;
        }
        let other = client
            .status(&format!("{image}/rendered?viewport=21,21"), "image/jpeg")
            .await;
        drop(room);
        other
    };
    let (answers, other) = futures::future::join(askers, other).await;
    assert_eq!(other, 503);
    for answer in &answers {
        assert_eq!(answer.status.as_u16(), 200);
        assert!(answer.body == answers[0].body && !answer.body.is_empty());
    }
    assert_eq!(world.archive.drawings.running(), 0);
}

#[actix_web::test]
async fn a_frame_as_it_lies_needs_no_room() {
    let world = world().await;
    let client = client(&world, Some(&world.token)).await;
    let image = image(&client).await;
    let _crowd = world.archive.cpu.crowd(Cpu::PLACES);
    let _room = world.archive.cpu.room(MEMORY, Queue::Wait).await.unwrap();
    let frame = client
        .get(&format!("{image}/frames/1"), "application/octet-stream")
        .await;
    assert_eq!((frame.status.as_u16(), frame.body.len()), (200, 32 * 32 * 2));
}

#[actix_web::test]
async fn a_long_frame_is_streamed_with_its_length() {
    let world = world().await;
    let client = client(&world, Some(&world.token)).await;
    let spec = demo::DemoSpec {
        individuals: 1,
        size: 800,
        slices: 1,
    };
    // The first is a CT slice.
    let large = demo::studies(7, &spec).next().unwrap().part10;
    client.store("/studies", std::slice::from_ref(&large)).await;
    let row = client.get("/instances?limit=1", JSON).await.json()[0].clone();
    let path = format!(
        "/studies/{}/series/{}/instances/{}/frames/1",
        text(&row, "0020000D"),
        text(&row, "0020000E"),
        text(&row, "00080018")
    );
    let frame = client.get(&path, "application/octet-stream").await;
    let whole = pixels(&large.into());
    assert!(whole.len() as u64 > crate::dicomweb::object::SHORT);
    assert_eq!(frame.header("content-length"), whole.len().to_string());
    assert!(frame.body == whole, "{} bytes", frame.body.len());
}
