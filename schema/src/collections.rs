//! Collections, and the AE titles that lead to them.
//!
//! A collection is put, never deleted: withdrawn, it stays as a tombstone. Its record goes into a pack like an image's, so
//! that a rebuilt database has it; [`put`] is what both ways use. Every change moves the change number on.

use std::collections::HashMap;

use isocenter_model::rights::{Access, Visibility};
use isocenter_model::{CollectionAccession, Route, SopClassUid};
use isocenter_storage::CollectionKeyId;
use sea_orm::FromQueryResult;
use serde::{Deserialize, Serialize};

use crate::commit::AuditEvent;
use crate::entity::archive::{collection, route};
use crate::numbers::Numbered;
use crate::record::{CollectionRecord, Lifecycle, Originals, ProfileRecord, ReleaseRule, RouteRecord};
use crate::search::visible::Sight;
use crate::sql::Sql;
use crate::{Error, ImageState, Reader, Result, Transaction, audit, instant, settings};

/// A collection with what is counted of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionRow {
    /// Its row, the `collection` of an index of codes.
    pub id: i64,
    /// What it is.
    pub record: CollectionRecord,
    /// Whether it is under embargo now, by the database's clock.
    pub embargoed: bool,
}

/// Makes a collection, or changes it to what the record says. Title, rules and routes may change; accession, key, creation
/// and a given attestation stay what they were.
///
/// # Errors
/// [`Error::Exists`] when one of its AE titles leads to another collection; else when the engine fails.
pub async fn put(tx: &Transaction, record: &CollectionRecord) -> Result<()> {
    let id = record.accession.number()?;
    let mut sql = Sql::new(
        tx.kind(),
        "INSERT INTO collection (id, accession, title, profile, release, access, originals, issuer, collection_key_id, \
         attested, lifecycle, embargo_until, allowed_sop_classes, created_at) VALUES (",
    );
    sql.bind(id)
        .push(", ")
        .bind(record.accession.as_str())
        .push(", ")
        .bind(record.title.as_str());
    sql.push(", ")
        .bind(record.profile.as_str())
        .push(", ")
        .bind(release_text(record.release));
    sql.push(", ")
        .bind(record.access.as_str())
        .push(", ")
        .bind(originals_code(record.originals)?);
    sql.push(", ")
        .bind(record.issuer.as_str())
        .push(", ")
        .bind(record.collection_key_id.as_bytes().to_vec());
    sql.push(", ")
        .bind(record.attested.clone().unwrap_or_default())
        .push(", ")
        .bind(lifecycle_text(record.lifecycle));
    sql.push(", ")
        .bind(record.embargo_until.map(instant::micros))
        .push(", ");
    let classes = serde_json::to_string(&record.allowed_sop_classes).map_err(|_| Error::BadValue("SOP classes"))?;
    sql.bind(classes).push(", ").bind(instant::micros(record.created_at));
    sql.push(
        ") ON CONFLICT (id) DO UPDATE SET title = excluded.title, profile = excluded.profile, \
         release = excluded.release, access = excluded.access, originals = excluded.originals, \
         issuer = excluded.issuer, lifecycle = excluded.lifecycle, embargo_until = excluded.embargo_until, \
         allowed_sop_classes = excluded.allowed_sop_classes, \
         attested = CASE WHEN collection.attested = '' THEN excluded.attested ELSE collection.attested END \
         WHERE collection.accession = excluded.accession",
    );
    if sql.execute(tx).await? != 1 {
        return Err(Error::Exists("collection number"));
    }
    let mut drop = Sql::new(tx.kind(), "DELETE FROM route WHERE collection_id = ");
    drop.bind(id);
    drop.execute(tx).await?;
    for to in &record.routes {
        let mut sql = Sql::new(
            tx.kind(),
            "INSERT INTO route (ae_title, collection_id, issuer) VALUES (",
        );
        sql.bind(to.ae_title.as_str())
            .push(", ")
            .bind(id)
            .push(", ")
            .bind(to.issuer.as_str());
        sql.push(") ON CONFLICT DO NOTHING");
        if sql.execute(tx).await? != 1 {
            return Err(Error::Exists("route of that AE title"));
        }
    }
    tx.learn(record.accession.clone(), id);
    settings::bump(tx).await
}

/// Gives a collection a profile of its own, or another one.
///
/// # Errors
/// [`Error::NotFound`] when the collection is not there; else when the engine fails.
pub async fn put_profile(tx: &Transaction, record: &ProfileRecord) -> Result<()> {
    let id = id_in(tx, &record.collection).await?;
    let mut sql = Sql::new(tx.kind(), "INSERT INTO own_profile (collection_id, sealed) VALUES (");
    sql.bind(id).push(", ").bind(record.sealed.clone());
    sql.push(") ON CONFLICT (collection_id) DO UPDATE SET sealed = excluded.sealed");
    sql.execute(tx).await?;
    settings::bump(tx).await
}

/// Returns the sealed profile of a collection, by its row, where it has one of its own.
///
/// # Errors
/// When the engine fails.
pub async fn own_profile(db: &impl Reader, id: i64) -> Result<Option<Vec<u8>>> {
    let mut sql = Sql::new(db.kind(), "SELECT sealed FROM own_profile WHERE collection_id = ");
    sql.bind(id);
    sql.value(db).await
}

/// Makes or changes a collection, with its audit event.
///
/// # Errors
/// As [`put`], and [`Error::NoAuditChain`].
pub async fn put_with(tx: &Transaction, record: &CollectionRecord, event: &AuditEvent) -> Result<()> {
    put(tx, record).await?;
    audit::append(tx, std::slice::from_ref(event)).await
}

/// Returns a collection.
///
/// # Errors
/// When the engine fails.
pub async fn get(db: &impl Reader, accession: &CollectionAccession) -> Result<Option<CollectionRow>> {
    let mut sql = select(db);
    sql.push(" WHERE c.accession = ").bind(accession.as_str());
    let rows: Vec<Row> = sql.all(db).await?;
    Ok(with_routes(db, rows).await?.into_iter().next())
}

/// Returns every collection, by accession.
///
/// # Errors
/// When the engine fails.
pub async fn list(db: &impl Reader) -> Result<Vec<CollectionRow>> {
    let mut sql = select(db);
    sql.push(" ORDER BY c.id");
    let rows: Vec<Row> = sql.all(db).await?;
    with_routes(db, rows).await
}

/// Returns the rows of the collections of which the caller may see at least something: the indexes of codes that a search
/// for him may look into.
///
/// # Errors
/// When the engine fails.
pub async fn visible_ids(db: &impl Reader, visibility: &Visibility) -> Result<Vec<i64>> {
    let mut sql = Sql::new(db.kind(), "SELECT c.id FROM collection c WHERE ");
    Sight::new(visibility).collection(&mut sql, "c.id");
    sql.push(" ORDER BY c.id");
    let rows = sql.rows(db).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}

/// Returns whether anything of a collection was ever released: whether the world outside could know of it.
///
/// # Errors
/// When the engine fails.
pub async fn was_public(db: &impl Reader, collection_id: i64) -> Result<bool> {
    let ever = [ImageState::Released, ImageState::Withdrawn].map(ImageState::code);
    let mut sql = Sql::new(
        db.kind(),
        "SELECT 1 FROM series r JOIN image i ON i.series_id = r.id WHERE r.collection_id = ",
    );
    sql.bind(collection_id).push(" AND i.state IN ").bind_list(ever);
    sql.push(" LIMIT 1");
    Ok(!sql.rows(db).await?.is_empty())
}

/// Returns where a called AE title leads; the route's own issuer, or else the collection's. A withdrawn collection takes
/// nothing.
///
/// # Errors
/// When the engine fails.
pub async fn route(db: &impl Reader, ae_title: &str) -> Result<Option<Route>> {
    #[derive(FromQueryResult)]
    struct Found {
        accession: String,
        route_issuer: String,
        issuer: String,
    }
    let mut sql = Sql::new(
        db.kind(),
        "SELECT c.accession, t.issuer AS route_issuer, c.issuer FROM route t JOIN collection c ON c.id = t.collection_id \
         WHERE c.lifecycle <> 'withdrawn' AND t.ae_title = ",
    );
    sql.bind(ae_title);
    let Some(found) = sql.one::<Found>(db).await? else {
        return Ok(None);
    };
    let collection = parse(&found.accession)?;
    let issuer = if found.route_issuer.is_empty() {
        found.issuer
    } else {
        found.route_issuer
    };
    Ok(Some(Route { collection, issuer }))
}

/// Returns the row id of a collection, from memory where it was asked before: ids never change.
pub(crate) async fn id_of(db: &impl Reader, accession: &CollectionAccession) -> Result<i64> {
    let remembered = db.memory().collections.read().get(accession).copied();
    if let Some(id) = remembered {
        return Ok(id);
    }
    read_id(db, accession).await
}

/// As [`id_of`], in a transaction that may have made the collection itself.
pub(crate) async fn id_in(tx: &Transaction, accession: &CollectionAccession) -> Result<i64> {
    let remembered = tx.memory().collections.read().get(accession).copied();
    if let Some(id) = remembered.or_else(|| tx.learned(accession)) {
        return Ok(id);
    }
    let id = read_id(tx, accession).await?;
    tx.learn(accession.clone(), id);
    Ok(id)
}

async fn read_id(db: &impl Reader, accession: &CollectionAccession) -> Result<i64> {
    let mut sql = Sql::new(db.kind(), "SELECT id FROM collection WHERE accession = ");
    sql.bind(accession.as_str());
    sql.value(db).await?.ok_or(Error::NotFound("collection"))
}

#[derive(FromQueryResult)]
struct Row {
    #[sea_orm(nested)]
    collection: collection::Model,
    embargoed: bool,
}

fn select(db: &impl Reader) -> Sql {
    let mut sql = Sql::new(db.kind(), "SELECT c.*, COALESCE(c.embargo_until > ");
    sql.push(instant::now(db.kind()))
        .push(", FALSE) AS embargoed FROM collection c");
    sql
}

async fn with_routes(db: &impl Reader, rows: Vec<Row>) -> Result<Vec<CollectionRow>> {
    let mut sql = Sql::new(db.kind(), "SELECT * FROM route WHERE collection_id IN ");
    sql.bind_list(rows.iter().map(|row| row.collection.id))
        .push(" ORDER BY ae_title");
    let mut routes: HashMap<i64, Vec<RouteRecord>> = HashMap::new();
    for route in sql.all::<route::Model>(db).await? {
        let to = RouteRecord {
            ae_title: route.ae_title,
            issuer: route.issuer,
        };
        routes.entry(route.collection_id).or_default().push(to);
    }
    rows.into_iter().map(|row| shown(row, &mut routes)).collect()
}

fn shown(row: Row, routes: &mut HashMap<i64, Vec<RouteRecord>>) -> Result<CollectionRow> {
    let model = row.collection;
    let key: [u8; 16] = model
        .collection_key_id
        .try_into()
        .map_err(|_| Error::Damaged("a key id has another length"))?;
    let classes: Vec<SopClassUid> =
        serde_json::from_str(&model.allowed_sop_classes).map_err(|_| Error::Damaged("SOP classes of a collection"))?;
    let record = CollectionRecord {
        accession: parse(&model.accession)?,
        title: model.title,
        profile: model.profile,
        release: release(&model.release)?,
        access: Access::from_name(&model.access).ok_or(Error::Damaged("access of a collection"))?,
        originals: originals(model.originals),
        issuer: model.issuer,
        collection_key_id: CollectionKeyId::from_bytes(key),
        attested: Some(model.attested).filter(|who| !who.is_empty()),
        lifecycle: lifecycle(&model.lifecycle)?,
        embargo_until: model.embargo_until.map(instant::utc).transpose()?,
        allowed_sop_classes: classes,
        routes: routes.remove(&model.id).unwrap_or_default(),
        created_at: instant::utc(model.created_at)?,
    };
    Ok(CollectionRow {
        id: model.id,
        record,
        embargoed: row.embargoed,
    })
}

pub(crate) fn parse(accession: &str) -> Result<CollectionAccession> {
    CollectionAccession::parse(accession).map_err(|_| Error::Damaged("accession of a collection"))
}

fn release_text(rule: ReleaseRule) -> &'static str {
    match rule {
        ReleaseRule::Manual => "manual",
        ReleaseRule::Automatic => "automatic",
    }
}

fn release(text: &str) -> Result<ReleaseRule> {
    match text {
        "manual" => Ok(ReleaseRule::Manual),
        "automatic" => Ok(ReleaseRule::Automatic),
        _ => Err(Error::Damaged("release rule of a collection")),
    }
}

fn originals_code(originals: Originals) -> Result<i32> {
    match originals {
        Originals::None => Ok(0),
        Originals::UntilRelease => Ok(-1),
        Originals::Days(0) => Err(Error::BadValue("originals kept for no day")),
        Originals::Days(days) => i32::try_from(days).map_err(|_| Error::BadValue("originals kept for too many days")),
    }
}

fn originals(code: i32) -> Originals {
    match u32::try_from(code) {
        Ok(0) => Originals::None,
        Ok(days) => Originals::Days(days),
        Err(_) => Originals::UntilRelease,
    }
}

pub(crate) fn lifecycle_text(lifecycle: Lifecycle) -> &'static str {
    match lifecycle {
        Lifecycle::Draft => "draft",
        Lifecycle::Announced => "announced",
        Lifecycle::Released => "released",
        Lifecycle::Withdrawn => "withdrawn",
    }
}

fn lifecycle(text: &str) -> Result<Lifecycle> {
    match text {
        "draft" => Ok(Lifecycle::Draft),
        "announced" => Ok(Lifecycle::Announced),
        "released" => Ok(Lifecycle::Released),
        "withdrawn" => Ok(Lifecycle::Withdrawn),
        _ => Err(Error::Damaged("lifecycle of a collection")),
    }
}
