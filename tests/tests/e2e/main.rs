//! End-to-end stories: a real archive, real clients, every story on SQLite and a folder and on PostgreSQL and S3.

mod deid;
mod login;
mod main_job;
mod manifest;
mod outcomes;
mod privacy;
mod profiles;
mod reports;
mod rights;
mod similar;

/// Makes one test for each thing that an archive can stand on.
macro_rules! on_both {
    ($(async fn $name:ident($archive:ident: &mut TestArchive) $body:block)*) => { $(
        mod $name {
            use super::*;

            async fn story($archive: &mut isocenter_tests::archive::TestArchive) $body

            #[tokio::test]
            async fn on_sqlite_and_a_folder() {
                let mut archive = TestArchive::start(isocenter_tests::archive::Backend::Embedded).await;
                story(&mut archive).await;
            }

            #[tokio::test]
            async fn on_postgresql_and_s3() {
                let mut archive = TestArchive::start(isocenter_tests::archive::Backend::Grown).await;
                story(&mut archive).await;
            }
        }
    )* };
}
pub(crate) use on_both;
