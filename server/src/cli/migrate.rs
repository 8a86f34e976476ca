//! `isocenter migrate`.

use serde_json::json;

use super::Output;
use crate::config::Settings;

/// Brings the database to this program's version; nothing else is touched.
pub(crate) async fn run(settings: Settings, output: Output) -> anyhow::Result<u8> {
    crate::archive::private_folder(&settings.data_dir)?;
    let db = isocenter_schema::Database::open(&settings.database_url).await?;
    db.migrate().await?;
    db.close().await?;
    output.answer(&json!({"database": "current"}), |_| {
        "the database is at this program's version".into()
    })?;
    Ok(0)
}
