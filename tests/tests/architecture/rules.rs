//! The rules as data and pure functions.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// Whether a dependency is part of what is shipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Part of the program, or of its build.
    Normal,
    /// Only of its tests.
    Test,
}

/// What a package asks for.
#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) optional: bool,
    pub(crate) kind: Kind,
}

/// One package of the workspace.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Where its manifest lies.
    pub(crate) folder: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// Who may depend on whom. `isocenter-tests` may on all and is not listed.
const EDGES: &[(&str, &[&str])] = &[
    ("isocenter-model", &[]),
    ("isocenter-deid", &["isocenter-model"]),
    ("isocenter-storage", &["isocenter-model"]),
    ("isocenter-imaging", &["isocenter-model", "isocenter-deid"]),
    ("isocenter-retrieval", &["isocenter-model", "isocenter-imaging"]),
    ("isocenter-schema", &["isocenter-model", "isocenter-storage"]),
    (
        "isocenter-ingest",
        &[
            "isocenter-model",
            "isocenter-deid",
            "isocenter-storage",
            "isocenter-imaging",
            "isocenter-schema",
        ],
    ),
    (
        "isocenter-gateway",
        &[
            "isocenter-model",
            "isocenter-deid",
            "isocenter-storage",
            "isocenter-imaging",
        ],
    ),
    (
        "isocenter",
        &[
            "isocenter-model",
            "isocenter-deid",
            "isocenter-storage",
            "isocenter-imaging",
            "isocenter-retrieval",
            "isocenter-schema",
            "isocenter-ingest",
            "isocenter-gateway",
        ],
    ),
    ("isocenter-conformance", &[]),
];

/// Crates that have an owner: nobody else names them. A name that ends in `*` stands for all that begin so.
const OWNERS: &[(&str, &[&str])] = &[
    ("actix*", &["isocenter"]),
    ("utoipa-actix-web", &["isocenter"]),
    ("tracing-actix-web", &["isocenter"]),
    ("sea-orm*", &["isocenter-schema"]),
    ("sqlx*", &["isocenter-schema"]),
    ("object_store", &["isocenter-storage"]),
    ("aes-gcm", &["isocenter-storage"]),
    ("dicom-ul", &["isocenter-gateway", "isocenter-conformance"]),
    ("faiss*", &["isocenter-retrieval"]),
];

/// Dependencies that no source names, and which are there for what they make of others (the manifest says what).
const UNNAMED: &[(&str, &str)] = &[("isocenter-storage", "reqwest")];

/// Crates that must not be in the tree: slow C builds, a second TLS, another licence.
const BANNED: &[&str] = &[
    "aws-lc-sys",
    "aws-lc-rs",
    "zstd-sys",
    "openssl-sys",
    "openssl",
    "native-tls",
    "actix-governor",
];

/// What may lie at the top of the repository, beside names that begin with a dot.
const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE",
    "README.md",
    "server",
    "dimse-gateway",
    "schema",
    "conformance",
    "deploy",
    "tests",
];

/// What in storage opens, seals or writes. Schema keeps the names of blobs and keys and has no use for these.
const STORAGE_DOORS: &[&str] = &[
    "Storage",
    "PackBuilder",
    "ArchiveWriter",
    "QuarantineWriter",
    "MasterKey",
    "Opened",
    "Spill",
];

fn matches(pattern: &str, name: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == name, |beginning| name.starts_with(beginning))
}

/// Returns every dependency between our packages that the design does not allow.
pub(crate) fn wrong_edges(packages: &[Package]) -> Vec<String> {
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut found = Vec::new();
    for package in packages.iter().filter(|package| package.name != "isocenter-tests") {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
            found.push(format!("{} is not in the table of packages", package.name));
            continue;
        };
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| ours.contains(dependency.name.as_str()))
        {
            if !allowed.contains(&dependency.name.as_str()) {
                found.push(format!("{} must not depend on {}", package.name, dependency.name));
            }
        }
    }
    found
}

/// Returns every use of a crate by a package that does not own it.
pub(crate) fn wrong_users(packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        for dependency in &package.dependencies {
            let Some((_, owners)) = OWNERS.iter().find(|(owned, _)| matches(owned, &dependency.name)) else {
                continue;
            };
            if !owners.contains(&package.name.as_str()) {
                found.push(format!(
                    "{} must not use {}, which belongs to {}",
                    package.name,
                    dependency.name,
                    owners.join(" and ")
                ));
            }
        }
    }
    found
}

/// Returns the dependencies that the sources of a package do not name: each costs a build, and a place for mistakes of others.
///
/// `shipped` are the sources below `src`; `all` are those with the tests beside it.
pub(crate) fn unused(package: &Package, shipped: &[String], all: &[String]) -> Vec<String> {
    let is_named = |name: &str, sources: &[String]| {
        // the one whose library has another name than its package
        let name = if name == "md-5" {
            "md5".to_owned()
        } else {
            name.replace('-', "_")
        };
        sources.iter().any(|source| names(source, &name))
    };
    package
        .dependencies
        .iter()
        .filter(|one| !UNNAMED.contains(&(package.name.as_str(), one.name.as_str())))
        .filter(|one| !is_named(&one.name, if one.kind == Kind::Test { all } else { shipped }))
        .map(|one| format!("{} does not use {}", package.name, one.name))
        .collect()
}

/// Whether a source names a crate in a path or in a `use`, outside a comment.
fn names(source: &str, krate: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .any(|line| {
            line.match_indices(krate).any(|(at, _)| {
                let (before, after) = (&line[..at], &line[at + krate.len()..]);
                !before.ends_with(is_word)
                    && (after.starts_with("::") || before.ends_with("use ") && !after.starts_with(is_word))
            })
        })
}

/// Returns the banned crates that a lock file holds.
pub(crate) fn banned_in_lock(lock: &str) -> Vec<String> {
    lock.lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .filter(|name| BANNED.contains(name))
        .map(|name| format!("{name} is in Cargo.lock; `cargo tree -i {name}` says who brings it"))
        .collect()
}

/// Returns the names at the top that do not belong there. What git ignores at the top is not part of the repository.
pub(crate) fn stray_names(names: &[String], gitignore: &str) -> Vec<String> {
    let ignored: BTreeSet<&str> = gitignore.lines().map(|line| line.trim().trim_matches('/')).collect();
    names
        .iter()
        .filter(|name| {
            !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()) && !ignored.contains(name.as_str())
        })
        .map(|name| format!("`{name}` does not belong at the top level"))
        .collect()
}

/// Returns the doors of storage that a source file names.
pub(crate) fn storage_doors(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in source.match_indices("isocenter_storage::") {
        let rest = &source[at + "isocenter_storage::".len()..];
        // Either one path, or a list in braces up to its end.
        let end = if rest.starts_with('{') {
            rest.find(';')
        } else {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
        };
        let named = &rest[..end.unwrap_or(rest.len())];
        let words = named.split(|c: char| !c.is_alphanumeric() && c != '_');
        found.extend(words.filter(|word| STORAGE_DOORS.contains(word)).map(str::to_owned));
    }
    found
}

/// Returns whether a source file lifts the workspace's ban on unsafe code.
pub(crate) fn opens_unsafe(source: &str) -> bool {
    source.lines().any(|line| {
        let line = line.trim_start();
        line.starts_with('#') && line.contains("unsafe_code") && (line.contains("expect(") || line.contains("allow("))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Kind)]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|&(name, kind)| Dependency {
                name: name.into(),
                optional: false,
                kind,
            })
            .collect();
        Package {
            name: name.into(),
            folder: PathBuf::new(),
            dependencies,
        }
    }

    #[test]
    fn a_wrong_edge_between_our_packages_is_found() {
        let world = [
            package("isocenter-model", &[]),
            package("isocenter-storage", &[("isocenter-model", Kind::Normal)]),
            package(
                "isocenter-deid",
                &[("isocenter-model", Kind::Normal), ("isocenter-storage", Kind::Normal)],
            ),
        ];
        assert_eq!(
            wrong_edges(&world),
            ["isocenter-deid must not depend on isocenter-storage"]
        );
    }

    #[test]
    fn an_edge_that_only_tests_use_is_found_too() {
        let world = [
            package("isocenter", &[]),
            package("isocenter-ingest", &[("isocenter", Kind::Test)]),
        ];
        assert_eq!(wrong_edges(&world).len(), 1);
    }

    #[test]
    fn conformance_may_use_none_of_our_packages() {
        let world = [
            package("isocenter-model", &[]),
            package("isocenter-conformance", &[("isocenter-model", Kind::Normal)]),
        ];
        assert_eq!(wrong_edges(&world).len(), 1);
    }

    #[test]
    fn a_package_nobody_planned_is_found() {
        assert_eq!(wrong_edges(&[package("isocenter-utils", &[])]).len(), 1);
    }

    #[test]
    fn tests_may_depend_on_all() {
        let world = [
            package("isocenter", &[]),
            package("isocenter-tests", &[("isocenter", Kind::Normal)]),
        ];
        assert!(wrong_edges(&world).is_empty());
    }

    #[test]
    fn a_crate_in_the_wrong_hands_is_found() {
        for (user, used) in [
            ("isocenter-gateway", "actix-web"),
            ("isocenter-gateway", "actix-rt"),
            ("isocenter", "sea-orm"),
            ("isocenter-ingest", "sqlx-core"),
            ("isocenter-schema", "object_store"),
            ("isocenter-ingest", "aes-gcm"),
            ("isocenter", "dicom-ul"),
            ("isocenter", "faiss"),
        ] {
            assert_eq!(
                wrong_users(&[package(user, &[(used, Kind::Normal)])]).len(),
                1,
                "{user} -> {used}"
            );
        }
    }

    #[test]
    fn owners_pass_and_tests_are_no_exception() {
        let world = [
            package(
                "isocenter-storage",
                &[("object_store", Kind::Normal), ("aes-gcm", Kind::Normal)],
            ),
            package("isocenter-conformance", &[("dicom-ul", Kind::Normal)]),
        ];
        assert!(wrong_users(&world).is_empty());
        assert_eq!(
            wrong_users(&[package("isocenter-tests", &[("object_store", Kind::Test)])]).len(),
            1
        );
    }

    #[test]
    fn a_dependency_that_no_source_names_is_found() {
        let package = package(
            "isocenter-model",
            &[
                ("serde", Kind::Normal),
                ("dicom-core", Kind::Normal),
                ("hex", Kind::Normal),
                ("smallvec", Kind::Normal),
                ("proptest", Kind::Test),
            ],
        );
        let shipped = vec![
            "use serde::Deserialize;\nfn f() { dicom_core::header::tag() }".to_owned(),
            "// hex::encode was here\nuse my_smallvec::SmallVec; fn g(hex: u8) {}".to_owned(),
        ];
        let mut all = shipped.clone();
        assert_eq!(
            unused(&package, &shipped, &all),
            [
                "isocenter-model does not use hex",
                "isocenter-model does not use smallvec",
                "isocenter-model does not use proptest",
            ]
        );
        all.push("use proptest::prelude::*; use hex;".to_owned());
        assert_eq!(
            unused(&package, &shipped, &all).len(),
            2,
            "what only tests name is no reason to ship it"
        );
    }

    #[test]
    fn a_banned_crate_is_found_by_its_whole_name() {
        let lock = "[[package]]\nname = \"openssl-sys\"\nversion = \"0.9\"\n[[package]]\nname = \"openssl-probe\"\n";
        assert_eq!(banned_in_lock(lock).len(), 1);
    }

    #[test]
    fn a_stray_name_is_found_and_an_ignored_one_is_not() {
        let names = ["Cargo.toml", ".github", "docs", "target", "data"].map(str::to_owned);
        assert_eq!(
            stray_names(&names, "/target\n/data\n"),
            ["`docs` does not belong at the top level"]
        );
    }

    #[test]
    fn a_door_of_storage_is_found_in_a_path_and_in_a_list() {
        assert_eq!(
            storage_doors("use isocenter_storage::{BlobRef, Durable, MasterKey};"),
            ["MasterKey"]
        );
        assert_eq!(storage_doors("fn f(s: &isocenter_storage::Storage) {}"), ["Storage"]);
        assert!(storage_doors("use isocenter_storage::{BlobRef, Durable, KeyId};").is_empty());
        assert!(storage_doors("use isocenter_storage::BlobRef; struct Storage;").is_empty());
    }

    #[test]
    fn lifting_the_ban_on_unsafe_is_found() {
        assert!(opens_unsafe("#![expect(unsafe_code, reason = \"FFI\")]"));
        assert!(opens_unsafe("    #[allow(unsafe_code)]"));
        assert!(!opens_unsafe(
            "//! unsafe_code is denied\n#[expect(dead_code, reason = \"x\")]"
        ));
    }
}
