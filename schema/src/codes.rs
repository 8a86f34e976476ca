//! Hash codes of frames: the truth from which an index of a collection and model can always be rebuilt.

use futures::{Stream, stream};
use sea_orm::{EntityTrait, FromQueryResult, Set};

use crate::entity::archive::hash_code;
use crate::sql::Sql;
use crate::{Database, Reader, Result, Transaction};

/// A code of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The image's row: the number of its accession.
    pub image_id: i64,
    /// The frame, from 1.
    pub frame: u32,
    /// The code.
    pub code: u64,
}

/// Keeps codes of one model; those there already are replaced.
///
/// # Errors
/// When the engine fails, and when an image is not there.
pub async fn put(tx: &Transaction, collection_id: i64, model: &str, codes: &[Code]) -> Result<()> {
    use hash_code::Column;
    for chunk in codes.chunks(200) {
        let rows = chunk.iter().map(|code| hash_code::ActiveModel {
            image_id: Set(code.image_id),
            frame: Set(i64::from(code.frame)),
            model: Set(model.to_owned()),
            collection_id: Set(collection_id),
            code: Set(code.code.cast_signed()),
        });
        let key = [Column::ImageId, Column::Frame, Column::Model];
        let replace = sea_orm::sea_query::OnConflict::columns(key)
            .update_column(Column::Code)
            .to_owned();
        let insert = hash_code::Entity::insert_many(rows).on_conflict(replace);
        insert.exec_without_returning(&tx.executor()).await?;
    }
    Ok(())
}

/// Returns collections and models that have codes, with their number.
///
/// # Errors
/// When the engine fails.
pub async fn indexes(db: &impl Reader) -> Result<Vec<(i64, String, u64)>> {
    let sql = Sql::new(
        db.kind(),
        "SELECT collection_id, model, COUNT(*) FROM hash_code GROUP BY collection_id, model",
    );
    let rows = sql.rows(db).await?;
    rows.iter()
        .map(|row| {
            let count: i64 = row.try_get_by_index(2)?;
            Ok((
                row.try_get_by_index(0)?,
                row.try_get_by_index(1)?,
                u64::try_from(count).unwrap_or(0),
            ))
        })
        .collect()
}

/// Returns an image's code, that of its first frame which has one.
///
/// # Errors
/// When the engine fails.
pub async fn of_image(db: &impl Reader, image_id: i64, model: &str) -> Result<Option<u64>> {
    let mut sql = Sql::new(db.kind(), "SELECT code FROM hash_code WHERE image_id = ");
    sql.bind(image_id)
        .push(" AND model = ")
        .bind(model)
        .push(" ORDER BY frame LIMIT 1");
    Ok(sql.value::<i64>(db).await?.map(i64::cast_unsigned))
}

/// Returns every code of a collection and model, in batches, by image and frame. Holds no connection between batches.
pub fn all(db: &Database, collection_id: i64, model: &str) -> impl Stream<Item = Result<Vec<Code>>> + Send + 'static {
    #[derive(FromQueryResult)]
    struct Row {
        image_id: i64,
        frame: i64,
        code: i64,
    }
    let start = (db.clone(), model.to_owned(), (i64::MIN, i64::MIN));
    stream::try_unfold(start, move |(db, model, last)| async move {
        let mut sql = Sql::new(
            db.kind(),
            "SELECT image_id, frame, code FROM hash_code WHERE collection_id = ",
        );
        sql.bind(collection_id).push(" AND model = ").bind(model.as_str());
        sql.push(" AND (image_id, frame) > (")
            .bind(last.0)
            .push(", ")
            .bind(last.1)
            .push(")");
        sql.push(" ORDER BY image_id, frame LIMIT 10000");
        let rows: Vec<Row> = sql.all(&db).await?;
        let Some(end) = rows.last().map(|row| (row.image_id, row.frame)) else {
            return Ok(None);
        };
        let codes = rows.iter().map(|row| Code {
            image_id: row.image_id,
            frame: u32::try_from(row.frame).unwrap_or(0),
            code: row.code.cast_unsigned(),
        });
        Ok(Some((codes.collect(), (db, model, end))))
    })
}
