//! The house rules that a compiler does not keep: who may depend on whom, what lies at the top, which crates stay out.
//!
//! The rules are pure functions over what `cargo metadata` and the files say ([`rules`]), so that the tests can also show that
//! a wrong edge is found. A rule that has never been seen to fail guards nothing.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot read the workspace must fail, in its helpers too"
)]

mod rules;

use cargo_metadata::{DependencyKind, MetadataCommand};
use rules::{Dependency, Kind, Package};
use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests lies in the workspace").to_owned()
}

/// Our own packages and what each of them asks for, from the manifests alone (nothing is resolved or fetched).
fn packages() -> Vec<Package> {
    let metadata = MetadataCommand::new()
        .manifest_path(workspace().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata reads the workspace");
    metadata
        .packages
        .iter()
        .map(|package| Package {
            name: package.name.to_string(),
            folder: package
                .manifest_path
                .parent()
                .expect("a manifest lies in a folder")
                .into(),
            dependencies: package
                .dependencies
                .iter()
                .map(|dependency| Dependency {
                    name: dependency.name.clone(),
                    optional: dependency.optional,
                    kind: if dependency.kind == DependencyKind::Development {
                        Kind::Test
                    } else {
                        Kind::Normal
                    },
                })
                .collect(),
        })
        .collect()
}

fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

/// Every Rust file below a folder of the workspace.
fn rust_files(below: impl AsRef<Path>) -> Vec<(PathBuf, String)> {
    let below = below.as_ref();
    let mut folders = vec![workspace().join(below)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file is readable");
                files.push((path, text));
            }
        }
    }
    assert!(!files.is_empty(), "no Rust file below {}", below.display());
    files
}

#[test]
fn packages_depend_only_on_those_the_design_names() {
    assert_none(&rules::wrong_edges(&packages()));
}

#[test]
fn heavy_crates_are_used_only_by_their_owners() {
    assert_none(&rules::wrong_users(&packages()));
}

#[test]
fn every_dependency_is_named_by_the_sources_of_its_package() {
    for package in packages() {
        let texts = |name: &str| -> Vec<String> {
            let folder = package.folder.join(name);
            if !folder.is_dir() {
                return Vec::new();
            }
            rust_files(folder).into_iter().map(|(_, text)| text).collect()
        };
        let shipped = texts("src");
        let mut all = shipped.clone();
        all.extend(texts("tests"));
        all.extend(texts("benches"));
        assert_none(&rules::unused(&package, &shipped, &all));
    }
}

#[test]
fn the_edge_gateway_takes_imaging_only_as_an_option() {
    let packages = packages();
    let gateway = packages
        .iter()
        .find(|package| package.name == "isocenter-gateway")
        .expect("the gateway is a package");
    let imaging: Vec<_> = gateway
        .dependencies
        .iter()
        .filter(|one| one.name == "isocenter-imaging" && one.kind == Kind::Normal)
        .collect();
    assert!(
        imaging.iter().all(|one| one.optional),
        "isocenter-gateway must build without isocenter-imaging"
    );
}

#[test]
fn banned_crates_are_not_in_the_lock_file() {
    let lock = std::fs::read_to_string(workspace().join("Cargo.lock")).expect("Cargo.lock");
    assert_none(&rules::banned_in_lock(&lock));
}

#[test]
fn the_top_level_holds_only_what_the_design_names() {
    let ignored = std::fs::read_to_string(workspace().join(".gitignore")).unwrap_or_default();
    let names: Vec<String> = std::fs::read_dir(workspace())
        .expect("the workspace is readable")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_none(&rules::stray_names(&names, &ignored));
}

#[test]
fn every_package_takes_the_lints_of_the_workspace() {
    let manifests = [
        "server",
        "server/model",
        "server/deid",
        "server/storage",
        "server/imaging",
        "server/retrieval",
        "server/ingest",
        "schema",
        "dimse-gateway",
        "conformance",
    ];
    // All of `tests` is tests, which may panic; its manifest has lints of its own.
    assert_eq!(
        manifests.len() + 1,
        packages().len(),
        "a package is missing in this list"
    );
    for manifest in manifests {
        let text = std::fs::read_to_string(workspace().join(manifest).join("Cargo.toml")).expect("a manifest");
        assert!(
            text.contains("[lints]\nworkspace = true"),
            "{manifest}/Cargo.toml does not take the workspace's lints"
        );
    }
}

#[test]
fn the_schema_sees_only_names_of_storage_not_its_doors() {
    for (path, text) in rust_files("schema/src") {
        let found = rules::storage_doors(&text);
        assert!(
            found.is_empty(),
            "{}: {found:?}: schema may use the names of blobs and keys, not what opens them",
            path.display()
        );
    }
}

#[test]
fn unsafe_code_stands_only_in_retrieval() {
    for folder in [
        "server/src",
        "server/model/src",
        "server/deid/src",
        "server/storage/src",
        "server/imaging/src",
        "server/ingest/src",
        "schema/src",
        "dimse-gateway/src",
        "conformance/src",
    ] {
        for (path, text) in rust_files(folder) {
            assert!(
                !rules::opens_unsafe(&text),
                "{} lifts the ban on unsafe code",
                path.display()
            );
        }
    }
}
