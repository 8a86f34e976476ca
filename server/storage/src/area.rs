//! The areas of the store, as types.
//!
//! The area of a body is in the header of its sealed form, in what every segment authenticates, and in the derivation of
//! its key. A reference to a quarantined body therefore cannot be read as one of the archive, neither by a slip in our
//! code (the types differ) nor by a changed row (the bytes do not open).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{BlobId, KeyId, PackName};

/// What a sealed entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Area {
    /// De-identified objects that cleared every check.
    Archive,
    /// Objects as received that may not go on.
    Quarantine,
    /// Objects as received, kept beside the archive's until release.
    Original,
    /// What was made from archive objects: thumbnails, exports, snapshots of indexes.
    Derived,
    /// Rows of the database that belong to an Individual.
    Rows,
    /// Rows of the database that belong to none: collections, releases.
    System,
}

impl Area {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Archive => 1,
            Self::Quarantine => 2,
            Self::Original => 3,
            Self::Derived => 4,
            Self::Rows => 5,
            Self::System => 6,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Archive,
            2 => Self::Quarantine,
            3 => Self::Original,
            4 => Self::Derived,
            5 => Self::Rows,
            6 => Self::System,
            _ => return None,
        })
    }

    pub(crate) const fn is_row(self) -> bool {
        matches!(self, Self::Rows | Self::System)
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Archive => "archive",
            Self::Quarantine => "quarantine",
            Self::Original => "original",
            Self::Derived => "derived",
            Self::Rows => "rows",
            Self::System => "system",
        })
    }
}

mod sealed {
    pub trait Sealed {}
}

/// An area that bodies are read from; only the markers of this module are one.
pub trait InArea: sealed::Sealed + Send + Sync + 'static {
    /// The area.
    const AREA: Area;
}

macro_rules! marker {
    ($(#[$doc:meta])* $name:ident, $area:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name;
        impl sealed::Sealed for $name {}
        impl InArea for $name {
            const AREA: Area = Area::$area;
        }
    };
}

marker!(
    /// Marks what lies in [`Area::Archive`].
    InArchive, Archive
);
marker!(
    /// Marks what lies in [`Area::Quarantine`].
    InQuarantine, Quarantine
);
marker!(
    /// Marks what lies in [`Area::Original`].
    InOriginal, Original
);
marker!(
    /// Marks what lies in [`Area::Derived`].
    InDerived, Derived
);

/// The right to write de-identified, checked objects. There is one, made by [`Storage::open`](crate::Storage::open).
#[derive(Debug)]
pub struct ArchiveWriter(pub(crate) ());

/// The right to write objects as received. There is one, made by [`Storage::open`](crate::Storage::open).
#[derive(Debug)]
pub struct QuarantineWriter(pub(crate) ());

/// Where one sealed body lies, and under which key.
///
/// Holds no secret: without the key store it opens nothing. It is what the database keeps.
pub struct BlobRef<A> {
    pub(crate) blob_id: BlobId,
    pub(crate) key_id: KeyId,
    pub(crate) pack: PackName,
    pub(crate) offset: u64,
    pub(crate) sealed_len: u64,
    pub(crate) plain_len: u64,
    pub(crate) version: u8,
    pub(crate) area: PhantomData<fn() -> A>,
}

impl<A> BlobRef<A> {
    /// Returns the id of this body.
    #[must_use]
    pub fn blob_id(&self) -> BlobId {
        self.blob_id
    }

    /// Returns the id of the Individual's key that it is sealed under.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// Returns the pack that holds it.
    #[must_use]
    pub fn pack(&self) -> PackName {
        self.pack
    }

    /// Returns where in the pack it begins.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns how many bytes it takes in the pack.
    #[must_use]
    pub fn sealed_len(&self) -> u64 {
        self.sealed_len
    }

    /// Returns how many bytes it has when opened.
    #[must_use]
    pub fn plain_len(&self) -> u64 {
        self.plain_len
    }

    fn identity(&self) -> Facts {
        Facts {
            area: 0,
            version: self.version,
            blob_id: self.blob_id,
            key_id: self.key_id,
            pack: self.pack,
            offset: self.offset,
            sealed_len: self.sealed_len,
            plain_len: self.plain_len,
        }
    }
}

/// The serialized form: the area goes along, so that a row of one area cannot be read back as another's.
#[derive(Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename = "BlobRef", deny_unknown_fields)]
struct Facts {
    area: u8,
    version: u8,
    blob_id: BlobId,
    key_id: KeyId,
    pack: PackName,
    offset: u64,
    sealed_len: u64,
    plain_len: u64,
}

impl<A: InArea> Serialize for BlobRef<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let facts = Facts {
            area: A::AREA.code(),
            ..self.identity()
        };
        facts.serialize(serializer)
    }
}

impl<'de, A: InArea> Deserialize<'de> for BlobRef<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let facts = Facts::deserialize(deserializer)?;
        if facts.area != A::AREA.code() {
            return Err(serde::de::Error::custom(format_args!(
                "not a reference into the area {}",
                A::AREA
            )));
        }
        Ok(Self {
            blob_id: facts.blob_id,
            key_id: facts.key_id,
            pack: facts.pack,
            offset: facts.offset,
            sealed_len: facts.sealed_len,
            plain_len: facts.plain_len,
            version: facts.version,
            area: PhantomData,
        })
    }
}

// Written by hand: the derived ones would ask the marker for what only the fields need.
impl<A> Clone for BlobRef<A> {
    fn clone(&self) -> Self {
        Self {
            area: PhantomData,
            ..*self
        }
    }
}

impl<A> PartialEq for BlobRef<A> {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl<A> Eq for BlobRef<A> {}

impl<A> Hash for BlobRef<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl<A> fmt::Debug for BlobRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.identity().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> BlobRef<InQuarantine> {
        BlobRef {
            blob_id: BlobId::from_bytes([1; 16]),
            key_id: KeyId::from_bytes([2; 16]),
            pack: PackName::from_bytes([3; 16]),
            offset: 40,
            sealed_len: 1000,
            plain_len: 900,
            version: 1,
            area: PhantomData,
        }
    }

    #[test]
    fn a_reference_survives_both_formats_and_stays_in_its_area() {
        let blob = sample();
        let json = serde_json::to_string(&blob).unwrap();
        let binary = postcard::to_stdvec(&blob).unwrap();
        assert_eq!(serde_json::from_str::<BlobRef<InQuarantine>>(&json).unwrap(), blob);
        assert_eq!(postcard::from_bytes::<BlobRef<InQuarantine>>(&binary).unwrap(), blob);
        assert!(serde_json::from_str::<BlobRef<InArchive>>(&json).is_err());
        assert!(postcard::from_bytes::<BlobRef<InArchive>>(&binary).is_err());
    }

    #[test]
    fn every_area_has_one_code() {
        for code in 0..=255 {
            if let Some(area) = Area::from_code(code) {
                assert_eq!(area.code(), code);
            }
        }
        assert_eq!((0..=255).filter(|&c| Area::from_code(c).is_some()).count(), 6);
    }
}
