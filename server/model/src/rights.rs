//! Who may do what: one pure function of principal, action and resource.
//!
//! Its value for reading is a [`Visibility`], which schema turns into SQL; a property test compares both on random
//! worlds. No handler filters by hand.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::CollectionAccession;

/// Role of a token or a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May do everything.
    Admin,
    /// Sees and decides everything in its collections, quarantine included.
    Curator,
    /// Sends to its collections and sees what it sent.
    Submitter,
    /// An edge gateway: sends to one collection from one source.
    Edge,
    /// Reads released data of open collections, and of collections granted to it.
    Researcher,
}

impl Role {
    /// All roles, in the order of the documentation.
    pub const ALL: [Self; 5] = [
        Self::Admin,
        Self::Curator,
        Self::Submitter,
        Self::Edge,
        Self::Researcher,
    ];

    /// Returns the role's name as the command line and the database write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Curator => "curator",
            Self::Submitter => "submitter",
            Self::Edge => "edge",
            Self::Researcher => "researcher",
        }
    }

    /// Returns the role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Nobody that we know: no token was shown.
    Anonymous,
    /// The holder of a token or a session.
    Known {
        /// Public id of the token or user, for the audit trail; never the secret.
        id: String,
        /// Its role.
        role: Role,
        /// The collections it is bound to; `None` is every collection.
        collections: Option<BTreeSet<CollectionAccession>>,
    },
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read images, metadata and counts.
    Read,
    /// Send instances.
    Submit,
    /// Look at and decide over quarantine, release, withdraw.
    Curate,
    /// Change settings, tokens and users; see logs and metrics.
    Administer,
}

/// Access rule of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Everyone.
    Open,
    /// Everyone who has a token.
    Registered,
    /// Those it was granted to.
    Controlled,
}

impl Access {
    /// Returns the name as the command line and the database write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Registered => "registered",
            Self::Controlled => "controlled",
        }
    }

    /// Returns the access rule of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Open, Self::Registered, Self::Controlled]
            .into_iter()
            .find(|access| access.as_str() == name)
    }
}

/// Which collections a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collections {
    /// Every collection.
    All,
    /// These.
    Of(BTreeSet<CollectionAccession>),
}

impl Collections {
    /// Returns whether the collection is one of them.
    pub fn contains(&self, accession: &CollectionAccession) -> bool {
        match self {
            Self::All => true,
            Self::Of(set) => set.contains(accession),
        }
    }

    /// Returns whether no collection is one of them.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Of(set) if set.is_empty())
    }
}

/// What a principal may read. An image is visible when any of the three lines holds, and its collection lies within
/// [`Visibility::within`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visibility {
    /// Released, pending and held images of these collections: what curators and submitters see of their own.
    pub everything_in: Collections,
    /// Released images of collections with one of these access rules, once the embargo is over.
    pub released_with_access: Vec<Access>,
    /// Released images of these collections whatever their access rule, once the embargo is over.
    pub released_in: Collections,
    /// The whole answer is limited to these, `/dicom-web/collections/{accession}`.
    pub within: Collections,
}

impl Visibility {
    /// Narrows to one collection.
    #[must_use]
    pub fn within(mut self, accession: CollectionAccession) -> Self {
        let only = BTreeSet::from([accession]);
        self.within = match self.within {
            Collections::All => Collections::Of(only),
            Collections::Of(set) => Collections::Of(set.intersection(&only).cloned().collect()),
        };
        self
    }
}

/// One image as far as rights are concerned; the oracle that SQL is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// Its collection.
    pub collection: CollectionAccession,
    /// The collection's access rule.
    pub access: Access,
    /// Whether the collection is under embargo now.
    pub embargoed: bool,
    /// Whether the collection was withdrawn.
    pub withdrawn: bool,
    /// Whether the image is released.
    pub released: bool,
    /// Whether the image is pending or held: in the archive, not yet released.
    pub awaiting: bool,
}

impl Visibility {
    /// Returns whether an image is visible.
    pub fn shows(&self, image: &ImageFacts) -> bool {
        if !self.within.contains(&image.collection) {
            return false;
        }
        if self.everything_in.contains(&image.collection) && (image.released || image.awaiting) {
            return true;
        }
        image.released
            && !image.embargoed
            && !image.withdrawn
            && (self.released_with_access.contains(&image.access) || self.released_in.contains(&image.collection))
    }
}

fn none() -> Collections {
    Collections::Of(BTreeSet::new())
}

/// Returns what a principal may read.
pub fn visibility(principal: &Principal) -> Visibility {
    let bound = |collections: &Option<BTreeSet<CollectionAccession>>| match collections {
        None => Collections::All,
        Some(set) => Collections::Of(set.clone()),
    };
    let open = vec![Access::Open];
    match principal {
        Principal::Anonymous => Visibility {
            everything_in: none(),
            released_with_access: open,
            released_in: none(),
            within: Collections::All,
        },
        Principal::Known { role, collections, .. } => match role {
            Role::Admin => Visibility {
                everything_in: Collections::All,
                released_with_access: Vec::new(),
                released_in: none(),
                within: bound(collections),
            },
            Role::Curator | Role::Submitter => Visibility {
                everything_in: bound(collections),
                released_with_access: vec![Access::Open, Access::Registered],
                released_in: none(),
                within: Collections::All,
            },
            // An edge sends and reads back nothing that the public may not see.
            Role::Edge => Visibility {
                everything_in: none(),
                released_with_access: open,
                released_in: none(),
                within: Collections::All,
            },
            Role::Researcher => Visibility {
                everything_in: none(),
                released_with_access: vec![Access::Open, Access::Registered],
                released_in: match collections {
                    None => none(),
                    Some(set) => Collections::Of(set.clone()),
                },
                within: Collections::All,
            },
        },
    }
}

/// Returns whether a principal may do something to a collection. Reading is decided by [`visibility`].
pub fn may(principal: &Principal, action: Action, collection: &CollectionAccession) -> bool {
    let Principal::Known { role, collections, .. } = principal else {
        return false;
    };
    let within = collections.as_ref().is_none_or(|set| set.contains(collection));
    within
        && match action {
            Action::Read | Action::Curate => matches!(role, Role::Admin | Role::Curator),
            Action::Submit => matches!(role, Role::Admin | Role::Curator | Role::Submitter | Role::Edge),
            Action::Administer => *role == Role::Admin,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(access: Access) -> ImageFacts {
        ImageFacts {
            collection: CollectionAccession::numbered("OBIA", 2),
            access,
            embargoed: false,
            withdrawn: false,
            released: true,
            awaiting: false,
        }
    }

    fn known(role: Role, collections: &[u64]) -> Principal {
        Principal::Known {
            id: "t1".into(),
            role,
            collections: Some(
                collections
                    .iter()
                    .map(|n| CollectionAccession::numbered("OBIA", *n))
                    .collect(),
            ),
        }
    }

    #[test]
    fn anonymous_sees_released_open_data_and_nothing_else() {
        let sees = visibility(&Principal::Anonymous);
        assert!(sees.shows(&image(Access::Open)));
        assert!(!sees.shows(&image(Access::Registered)));
        assert!(!sees.shows(&image(Access::Controlled)));
        assert!(!sees.shows(&ImageFacts {
            released: false,
            awaiting: true,
            ..image(Access::Open)
        }));
        assert!(!sees.shows(&ImageFacts {
            embargoed: true,
            ..image(Access::Open)
        }));
        assert!(!sees.shows(&ImageFacts {
            withdrawn: true,
            ..image(Access::Open)
        }));
    }

    #[test]
    fn a_grant_opens_a_controlled_collection_and_no_other() {
        assert!(visibility(&known(Role::Researcher, &[2])).shows(&image(Access::Controlled)));
        assert!(!visibility(&known(Role::Researcher, &[3])).shows(&image(Access::Controlled)));
    }

    #[test]
    fn a_submitter_sees_its_own_before_release_and_not_others() {
        let awaiting = ImageFacts {
            released: false,
            awaiting: true,
            ..image(Access::Controlled)
        };
        assert!(visibility(&known(Role::Submitter, &[2])).shows(&awaiting));
        assert!(!visibility(&known(Role::Submitter, &[3])).shows(&awaiting));
    }

    #[test]
    fn nobody_anonymous_may_act() {
        for action in [Action::Submit, Action::Curate, Action::Administer] {
            assert!(!may(
                &Principal::Anonymous,
                action,
                &CollectionAccession::numbered("OBIA", 1)
            ));
        }
        assert!(!may(
            &known(Role::Edge, &[1]),
            Action::Submit,
            &CollectionAccession::numbered("OBIA", 2)
        ));
    }
}
