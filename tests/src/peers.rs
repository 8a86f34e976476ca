//! Other people's clients, run as programs.

use std::path::Path;
use std::process::{Command, Output};

/// Runs a program of dcmtk with its Nagle algorithm off; a missing program is a failure that says what to install.
pub fn dcmtk(program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .env("TCP_NODELAY", "1")
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}: install dcmtk, or run the tests with tests/run"))
}

/// Sends files with `storescu` and returns what it said.
pub fn storescu(dimse: &str, called: &str, files: &[&Path], options: &[&str]) -> Output {
    let (host, port) = dimse.rsplit_once(':').expect("host:port");
    let mut arguments = vec!["-d", "-aet", "PACS", "-aec", called];
    arguments.extend_from_slice(options);
    arguments.extend_from_slice(&[host, port]);
    let files: Vec<&str> = files.iter().map(|f| f.to_str().expect("a plain path")).collect();
    arguments.extend_from_slice(&files);
    dcmtk("storescu", &arguments)
}

/// Runs a Python script of `tests/peers` in the test environment.
pub fn script(name: &str, arguments: &[&str]) -> Output {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name);
    Command::new(crate::corpus::python())
        .arg(path)
        .args(arguments)
        .output()
        .expect("python runs")
}

/// Returns standard output and error as one text, for messages of failed tests.
pub fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
