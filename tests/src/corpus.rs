//! Real files of other people.

use std::path::{Path, PathBuf};

/// Returns the folder of shared test data where it is present. What needs it is left out, and says so, where it is not.
pub fn shared() -> Option<PathBuf> {
    let path = match std::env::var_os("ISOCENTER_TEST_DATA") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    };
    if path.join("dicom/MANIFEST.csv").exists() {
        return Some(path);
    }
    eprintln!("left out: ../shared/data is absent (ISOCENTER_TEST_DATA names another place)");
    None
}

/// Returns the Python of the test environment.
pub fn python() -> PathBuf {
    PathBuf::from(
        std::env::var_os("ISOCENTER_TEST_PYTHON")
            .expect("ISOCENTER_TEST_PYTHON is not set: run the tests with tests/run"),
    )
}

/// Returns the folder of DICOM files that comes with the pydicom wheel.
pub fn pydicom_files() -> PathBuf {
    let asked = std::process::Command::new(python())
        .args([
            "-c",
            "import pydicom, os; print(os.path.join(os.path.dirname(pydicom.__file__), 'data', 'test_files'))",
        ])
        .output()
        .expect("python runs");
    assert!(
        asked.status.success(),
        "pydicom: {}",
        String::from_utf8_lossy(&asked.stderr)
    );
    PathBuf::from(String::from_utf8_lossy(&asked.stdout).trim())
}

/// One row of the shared manifest.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Path below `dicom/`.
    pub path: String,
    /// What must become of it.
    pub expected: String,
}

/// Returns the shared manifest's rows.
pub fn manifest(shared: &Path) -> Vec<Entry> {
    let text = std::fs::read_to_string(shared.join("dicom/MANIFEST.csv")).expect("a manifest");
    // The last column is the expectation and the first the path; neither holds a comma or a quote.
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let (path, _) = line.split_once(',')?;
            let (_, expected) = line.rsplit_once(',')?;
            Some(Entry {
                path: path.to_owned(),
                expected: expected.to_owned(),
            })
        })
        .collect()
}
