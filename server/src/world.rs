//! A whole archive in a temporary folder, for tests of what a client meets.

use std::sync::Arc;

use actix_web::web;
use isocenter_model::arrival::{Arrival, Form, Refusal, Source};
use isocenter_model::{Clock, CollectionAccession, InstanceWriter, Outcome, Route};
use url::Url;

use crate::archive::Archive;
use crate::config::Settings;
use crate::demo;

/// An archive that goes away with its folder.
pub(crate) struct World {
    /// What the handlers share.
    pub(crate) archive: web::Data<Archive>,
    /// The administrator's token.
    pub(crate) token: String,
    _folder: tempfile::TempDir,
}

impl World {
    /// Stores one phantom image in the Inbox, where it waits for release.
    pub(crate) async fn store_phantom(&self) -> Outcome {
        let spec = demo::DemoSpec {
            individuals: 1,
            size: 32,
            slices: 1,
        };
        let file = demo::studies(7, &spec).next().unwrap().part10;
        let mut writer = begin(&self.archive).await.unwrap();
        writer.write(file.into()).await.unwrap();
        writer.finish().await
    }
}

/// Opens a writer for one instance that goes to the Inbox.
pub(crate) async fn begin(archive: &Archive) -> Result<Box<dyn InstanceWriter>, Refusal> {
    let arrival = Arrival {
        route: Route {
            collection: CollectionAccession::numbered(CollectionAccession::DEFAULT_PREFIX, 1),
            issuer: String::new(),
        },
        source: Source::Import,
        form: Form::Part10,
        bound_to_study: None,
        size_hint: None,
    };
    archive.sink.begin(arrival).await
}

/// Makes an archive as the first start makes it.
pub(crate) async fn world() -> World {
    world_with(|_| {}).await
}

/// Makes an archive with a clock of the test's.
pub(crate) async fn world_at(clock: Arc<dyn Clock>) -> World {
    made(|_| {}, Some(clock)).await
}

/// Makes an archive with other settings.
pub(crate) async fn world_with(change: impl FnOnce(&mut Settings)) -> World {
    made(change, None).await
}

async fn made(change: impl FnOnce(&mut Settings), clock: Option<Arc<dyn Clock>>) -> World {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| Url::from_directory_path(folder.path().join(name)).unwrap();
    let mut settings = Settings {
        data_dir: folder.path().to_owned(),
        database_url: format!("sqlite://{}", folder.path().join("isocenter.db").display()),
        store_url: at("blobs"),
        key_store_url: at("keys"),
        master_key_file: folder.path().join("master.key"),
        cors_origins: vec!["https://viewer.example".into()],
        ..Settings::default()
    };
    change(&mut settings);
    let mut archive = Archive::open(settings).await.unwrap();
    if let Some(clock) = clock {
        archive.clock = clock;
    }
    let token = std::fs::read_to_string(folder.path().join("admin.token"))
        .unwrap()
        .trim()
        .to_owned();
    World {
        archive: web::Data::new(archive),
        token,
        _folder: folder,
    }
}
