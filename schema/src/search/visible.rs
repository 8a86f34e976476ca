//! [`Visibility`] as SQL. What it must mean is `Visibility::shows`; a test compares both on random worlds.
//!
//! Whatever row is asked about, two conditions on its collection decide: *full*, the caller sees what is released and what
//! awaits, and *public*, he sees what is released. Both are tests of membership in a set of a few collections, which either
//! engine makes once for a statement.

use isocenter_model::rights::{Collections, Visibility};

use crate::instant;
use crate::sql::Sql;

/// Released images have this code, see [`crate::ImageState`].
const RELEASED: &str = "3";
/// Released, pending and held ones these.
const IN_ARCHIVE: &str = "(0, 1, 3)";

fn both(a: &Collections, b: &Collections) -> Collections {
    match (a, b) {
        (Collections::All, other) | (other, Collections::All) => other.clone(),
        (Collections::Of(a), Collections::Of(b)) => Collections::Of(a.intersection(b).cloned().collect()),
    }
}

/// A visibility, ready to be written into statements.
#[derive(Debug, Clone)]
pub(crate) struct Sight<'a> {
    visibility: &'a Visibility,
    full: Collections,
}

impl<'a> Sight<'a> {
    pub(crate) fn new(visibility: &'a Visibility) -> Self {
        Self {
            visibility,
            full: both(&visibility.everything_in, &visibility.within),
        }
    }

    /// Returns whether at most one collection is in sight, so that no UID can be seen twice.
    pub(crate) fn is_narrow(&self) -> bool {
        matches!(&self.visibility.within, Collections::Of(set) if set.len() <= 1)
    }

    fn is_public(&self) -> bool {
        let v = self.visibility;
        !(v.within.is_empty() || (v.released_with_access.is_empty() && v.released_in.is_empty()))
    }

    fn accessions(sql: &mut Sql, set: &Collections) {
        match set {
            Collections::All => sql.push("TRUE"),
            Collections::Of(set) if set.is_empty() => sql.push("FALSE"),
            Collections::Of(set) => sql.push("v.accession IN ").bind_list(set.iter().map(|a| a.as_str())),
        };
    }

    /// Writes the condition that all of a collection is seen.
    fn full(&self, sql: &mut Sql, column: &str) {
        match &self.full {
            Collections::All => {
                sql.push("TRUE");
            }
            Collections::Of(set) if set.is_empty() => {
                sql.push("FALSE");
            }
            set @ Collections::Of(_) => {
                sql.push(column).push(" IN (SELECT v.id FROM collection v WHERE ");
                Self::accessions(sql, set);
                sql.push(")");
            }
        }
    }

    /// Writes the condition that what is released of a collection is seen.
    fn public(&self, sql: &mut Sql, column: &str) {
        let (v, now) = (self.visibility, instant::now(sql.kind()));
        sql.push(column)
            .push(" IN (SELECT v.id FROM collection v WHERE v.lifecycle <> 'withdrawn' AND ");
        sql.push("(v.embargo_until IS NULL OR v.embargo_until <= ")
            .push(now)
            .push(") AND (");
        Self::accessions(sql, &v.released_in);
        if !v.released_with_access.is_empty() {
            sql.push(" OR v.access IN ")
                .bind_list(v.released_with_access.iter().map(|access| access.as_str()));
        }
        sql.push(") AND ");
        Self::accessions(sql, &v.within);
        sql.push(")");
    }

    /// Writes the condition that something of a collection may be seen.
    pub(crate) fn collection(&self, sql: &mut Sql, column: &str) {
        sql.push("(");
        self.full(sql, column);
        if self.is_public() {
            sql.push(" OR ");
            self.public(sql, column);
        }
        sql.push(")");
    }

    /// Writes the condition that at least one image of a study or series is seen.
    pub(crate) fn counted(&self, sql: &mut Sql, alias: &str) {
        let column = format!("{alias}.collection_id");
        sql.push("((");
        self.full(sql, &column);
        sql.push(" AND ")
            .push(alias)
            .push(".images_released + ")
            .push(alias)
            .push(".images_awaiting > 0)");
        if self.is_public() {
            sql.push(" OR (").push(alias).push(".images_released > 0 AND ");
            self.public(sql, &column);
            sql.push(")");
        }
        sql.push(")");
    }

    /// Writes the number of images of a study or series that are seen, for a row that [`Sight::counted`] lets through.
    pub(crate) fn count(&self, sql: &mut Sql, alias: &str) {
        sql.push("(").push(alias).push(".images_released + CASE WHEN ");
        self.full(sql, &format!("{alias}.collection_id"));
        sql.push(" THEN ").push(alias).push(".images_awaiting ELSE 0 END)");
    }

    /// Writes the condition that an image is seen.
    pub(crate) fn image(&self, sql: &mut Sql, alias: &str) {
        let column = format!("{alias}.collection_id");
        sql.push("((");
        self.full(sql, &column);
        sql.push(" AND ")
            .push(alias)
            .push(".state IN ")
            .push(IN_ARCHIVE)
            .push(")");
        if self.is_public() {
            sql.push(" OR (")
                .push(alias)
                .push(".state = ")
                .push(RELEASED)
                .push(" AND ");
            self.public(sql, &column);
            sql.push(")");
        }
        sql.push(")");
    }

    /// Writes the condition that no other study of the same UID comes before: the lowest accession in sight wins.
    pub(crate) fn first_of_its_uid(&self, sql: &mut Sql, study: &str) {
        if self.is_narrow() {
            sql.push("TRUE");
            return;
        }
        sql.push("NOT EXISTS (SELECT 1 FROM study d WHERE d.study_instance_uid = ")
            .push(study);
        sql.push(".study_instance_uid AND d.id < ").push(study).push(".id AND ");
        self.counted(sql, "d");
        sql.push(")");
    }

    /// The same for an image, where many are walked over: the studies that come second are found once, not asked for each.
    pub(crate) fn not_second(&self, sql: &mut Sql, column: &str) {
        sql.push(column)
            .push(" NOT IN (SELECT s.id FROM study d JOIN study s ON ");
        sql.push("s.study_instance_uid = d.study_instance_uid AND s.id > d.id WHERE ");
        self.counted(sql, "d");
        sql.push(")");
    }
}
