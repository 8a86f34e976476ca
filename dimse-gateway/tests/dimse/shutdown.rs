//! Shutdown: what is under way is finished and answered, what is idle is aborted, and nothing is left.

use std::time::{Duration, Instant};

use isocenter_gateway::DimseSettings;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::gateway::{Gateway, settings};
use crate::peer::{Peer, store_rq};
use crate::sink::{MemorySink, Plan};

#[tokio::test]
async fn operations_under_way_are_answered_and_idle_associations_aborted() {
    let mut gateway = Gateway::start().await;
    gateway.sink.plan("1.2.3", Plan::StoreAfter(Duration::from_millis(500)));
    let mut idle = Peer::open(gateway.address).await;
    let unheard = Peer::connect(gateway.address).await;
    let mut busy = Peer::open(gateway.address).await;
    busy.send_command(3, &store_rq(1, "1.2.3")).await;
    busy.send_data(3, b"data", 100).await;
    while gateway.sink.begun() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    gateway.stop.take().unwrap().send(()).unwrap();

    assert_eq!(idle.abort().await, (0, 0));
    assert_eq!(busy.answer().await.status(), 0);
    assert_eq!(busy.abort().await, (0, 0));
    assert_eq!(gateway.sink.received().len(), 1);
    drop((idle, busy, unheard));
    timeout(Duration::from_secs(10), &mut gateway.join)
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(gateway.address).await.is_err());
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_dropped_unanswered() {
    let short = DimseSettings {
        drain_timeout: Duration::from_millis(300),
        ..settings()
    };
    let mut gateway = Gateway::start_with(short, MemorySink::new()).await;
    gateway.sink.plan("1.2.3", Plan::StoreAfter(Duration::from_secs(60)));
    let mut busy = Peer::open(gateway.address).await;
    busy.send_command(3, &store_rq(1, "1.2.3")).await;
    busy.send_data(3, b"data", 100).await;
    while gateway.sink.begun() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let started = Instant::now();
    gateway.stop.take().unwrap().send(()).unwrap();
    assert_eq!(busy.read().await, None);
    timeout(Duration::from_secs(5), &mut gateway.join)
        .await
        .unwrap()
        .unwrap();
    assert!(started.elapsed() >= Duration::from_millis(300));
    gateway.sink.until_dropped(1).await;
    assert!(gateway.sink.received().is_empty());
}
