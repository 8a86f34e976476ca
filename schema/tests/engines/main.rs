//! One suite, run on SQLite and on PostgreSQL.
//!
//! `ISOCENTER_TEST_POSTGRES_URL` names a server on which the tests may make databases; without it the PostgreSQL half is
//! left out, and says so.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

/// Makes of each function a test on either engine.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(crate::world::World::sqlite().await).await;
                }
            )*
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    if let Some(world) = crate::world::World::postgres().await {
                        super::$name(world).await;
                    }
                }
            )*
        }
    };
}

mod commit;
mod matching;
mod migrations;
mod scale;
mod states;
mod system;
mod visibility;
mod world;
