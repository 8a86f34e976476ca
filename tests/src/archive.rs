//! A real archive in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// What the archive stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// SQLite and a local folder: the embedded default.
    Embedded,
    /// PostgreSQL and an S3 store.
    Grown,
}

/// A running archive. Ends its process and drops its database when it goes out of scope.
pub struct TestArchive {
    backend: Backend,
    folder: TempDir,
    child: Option<std::process::Child>,
    /// `http://127.0.0.1:port`.
    pub url: String,
    /// `127.0.0.1:port` of DIMSE.
    pub dimse: String,
    /// The administrator's token.
    pub admin: String,
    database_url: Option<String>,
    store_url: Option<String>,
    environment: Vec<(String, String)>,
    flags: Vec<String>,
    starts: usize,
    /// HTTP client.
    pub http: reqwest::Client,
}

fn needed(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests with tests/run"))
}

/// Returns the path of a program of this workspace, built beside the test.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().and_then(Path::parent).expect("target/profile/deps/test");
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is not built: run the tests with tests/run",
        path.display()
    );
    path
}

/// Returns a name that no other test of this machine uses now.
fn unique(prefix: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_nanos();
    format!(
        "{prefix}{}n{}n{}",
        std::process::id(),
        nanos % 1_000_000_007,
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

fn sql(server: &str, statement: &str) {
    let done = Command::new("psql")
        .args(["-q", "-X", server, "-c", statement])
        .output()
        .expect("psql");
    assert!(done.status.success(), "psql: {}", String::from_utf8_lossy(&done.stderr));
}

impl TestArchive {
    /// Starts a fresh archive.
    pub async fn start(backend: Backend) -> Self {
        Self::start_with(backend, &[], &[]).await
    }

    /// Starts a fresh archive with more flags and environment.
    pub async fn start_with(backend: Backend, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut archive = Self::prepare(backend);
        archive.flags = flags.iter().map(|f| (*f).to_owned()).collect();
        archive
            .environment
            .extend(environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        archive.launch().await;
        archive
    }

    /// Makes the folder, database and bucket of an archive without starting it.
    pub fn prepare(backend: Backend) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::Builder::new()
            .prefix("isocenter-test-")
            .tempdir()
            .expect("a temporary folder");
        let mut environment = Vec::new();
        let (mut database_url, mut store_url) = (None, None);
        if backend == Backend::Grown {
            let server = needed("ISOCENTER_TEST_POSTGRES_URL");
            let name = unique("iso");
            sql(&server, &format!("create database {name}"));
            let mut url = url::Url::parse(&server).expect("a URL");
            url.set_path(&name);
            database_url = Some(url.to_string());
            let endpoint = needed("ISOCENTER_TEST_S3_ENDPOINT");
            // moto has one account; a prefix of its own keeps the tests apart. The bucket is made by tests/run.
            store_url = Some(format!("s3://isocenter-test/{name}"));
            for (key, value) in [
                ("AWS_ENDPOINT_URL", endpoint.as_str()),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_REGION", "us-east-1"),
            ] {
                environment.push((key.to_owned(), value.to_owned()));
            }
        }
        Self {
            backend,
            folder,
            child: None,
            url: String::new(),
            dimse: String::new(),
            admin: String::new(),
            database_url,
            store_url,
            environment,
            flags: Vec::new(),
            starts: 0,
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(120))
                .build()
                .expect("a client"),
        }
    }

    /// Sets a variable of the next start's environment; an empty value takes it away.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.retain(|(key, _)| key != name);
        if !value.is_empty() {
            self.environment.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Returns the data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Returns a scratch folder that lives as long as the archive.
    pub fn scratch(&self) -> PathBuf {
        let path = self.folder.path().join("scratch");
        std::fs::create_dir_all(&path).expect("a scratch folder");
        path
    }

    /// Returns the database's URL where it is not the embedded one.
    pub fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref()
    }

    /// Returns what the archive stands on.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("running").id()
    }

    /// Returns a command of the program with this archive's settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("isocenter"));
        command
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("HOME", self.folder.path());
        command.envs(self.environment.iter().map(|(k, v)| (k, v)));
        command.arg("--data-dir").arg(self.data_dir());
        if let Some(url) = &self.database_url {
            command.arg("--database-url").arg(url);
        }
        if let Some(url) = &self.store_url {
            command.arg("--store-url").arg(url);
        }
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    /// Runs a sub-command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Runs a sub-command with `--json` and returns its answer; panics when it fails.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let done = self.run(&[arguments, &["--json"]].concat());
        let (out, err) = (
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr),
        );
        assert!(done.status.success(), "isocenter {arguments:?}: {out}{err}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("isocenter {arguments:?}: {error}: {out}"))
    }

    /// Makes a collection that keeps what it gets as it is and releases it at once. Returns where to store to it.
    pub fn keeps_as_sent(&self) -> String {
        let create = ["collection", "create", "--title", "as sent"];
        let made = self.json(&[&create[..], &["--profile", "none", "--release", "automatic"]].concat());
        format!(
            "/collections/{}/studies",
            made["accession"].as_str().expect("an accession")
        )
    }

    /// Returns everything that the server wrote to its log so far, over all its starts.
    pub fn log(&self) -> String {
        (1..=self.starts)
            .map(|n| std::fs::read_to_string(self.log_path(n)).unwrap_or_default())
            .collect()
    }

    fn log_path(&self, start: usize) -> PathBuf {
        self.folder.path().join(format!("server-{start}.log"))
    }

    /// Starts the server again, or for the first time, and waits until it is ready.
    pub async fn launch(&mut self) {
        self.launch_wrapped(&[]).await;
    }

    /// Starts the server under another program, `strace` say, and waits until it is ready.
    pub async fn launch_wrapped(&mut self, wrapper: &[&str]) {
        assert!(
            self.try_launch(wrapper).await,
            "the server did not start: {}",
            self.log()
        );
    }

    /// Starts the server and returns whether it became ready.
    pub async fn try_launch(&mut self, wrapper: &[&str]) -> bool {
        self.starts += 1;
        let log = std::fs::File::create(self.log_path(self.starts)).expect("a log file");
        let plain = self.command(&["serve", "--http", "127.0.0.1:0", "--dimse", "127.0.0.1:0"]);
        let mut command = match wrapper.split_first() {
            None => plain,
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(plain.get_program()).args(plain.get_args());
                command
                    .env_clear()
                    .envs(plain.get_envs().filter_map(|(k, v)| Some((k, v?))));
                command.current_dir(self.folder.path());
                command
            }
        };
        command
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.child = Some(command.spawn().expect("the server starts"));
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            let log = std::fs::read_to_string(self.log_path(self.starts)).unwrap_or_default();
            let ready = log
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                .find_map(|line| {
                    let fields = line.get("fields")?.clone();
                    (fields.get("message")?.as_str()? == "isocenter is ready").then_some(fields)
                });
            if let Some(fields) = ready {
                let field = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
                self.url = format!("http://{}", field("http"));
                self.dimse = field("dimse");
                // A restored archive has none: the file is in no backup.
                if let Ok(token) = std::fs::read_to_string(self.data_dir().join("admin.token")) {
                    self.admin = token.trim().to_owned();
                }
                return true;
            }
            if self
                .child
                .as_mut()
                .is_some_and(|child| child.try_wait().ok().flatten().is_some())
            {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    /// Ends the server as the operating system does it: no warning, nothing flushed.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Waits until the server has ended by itself.
    pub fn wait_for_end(&mut self) -> std::process::ExitStatus {
        self.child.take().expect("running").wait().expect("it ends")
    }

    /// Asks the server to stop and waits until it has.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        let pid = self.pid();
        let asked = Command::new("kill")
            .args(["-TERM", &pid.to_string()])
            .status()
            .expect("kill");
        assert!(asked.success());
        self.wait_for_end()
    }

    /// Sends a GET; with a token or anonymously.
    pub async fn get(&self, path: &str, token: Option<&str>, accept: Option<&str>) -> reqwest::Response {
        let mut request = self.http.get(format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(accept) = accept {
            request = request.header("Accept", accept);
        }
        request.send().await.expect("an answer")
    }

    /// Searches with QIDO-RS and returns the rows.
    pub async fn search(&self, path: &str, token: Option<&str>) -> Vec<Value> {
        let answer = self
            .get(&format!("/dicom-web{path}"), token, Some("application/dicom+json"))
            .await;
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    /// Stores files with STOW-RS in one request and returns status and body.
    pub async fn stow(&self, path: &str, files: &[Vec<u8>], token: Option<&str>) -> (u16, Value) {
        let boundary = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
        let mut body = Vec::new();
        for file in files {
            body.extend_from_slice(format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n").as_bytes());
            body.extend_from_slice(file);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let kind = format!("multipart/related; type=\"application/dicom\"; boundary={boundary}");
        let mut request = self
            .http
            .post(format!("{}/dicom-web{path}", self.url))
            .header("Content-Type", kind)
            .header("Accept", "application/dicom+json")
            .body(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap_or_default();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Fetches one instance as the PS3.10 file that the archive gives out.
    pub async fn instance(&self, path: &str, token: Option<&str>) -> Vec<u8> {
        let accept = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
        let answer = self.get(&format!("/dicom-web{path}"), token, Some(accept)).await;
        assert_eq!(answer.status(), 200, "{path}");
        let kind = answer.headers()["content-type"].to_str().expect("text").to_owned();
        let body = answer.bytes().await.expect("a body");
        parts(&kind, &body).into_iter().next().expect("one part").1
    }
}

impl Drop for TestArchive {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- server log ---\n{}", self.log());
        }
        if let Some(url) = &self.database_url
            && let (Ok(server), Ok(ours)) = (std::env::var("ISOCENTER_TEST_POSTGRES_URL"), url::Url::parse(url))
        {
            let name = ours.path().trim_start_matches('/').to_owned();
            let statement = format!("drop database if exists {name} with (force)");
            let _ = Command::new("psql")
                .args(["-q", "-X", &server, "-c", &statement])
                .output();
        }
    }
}

/// Returns the path of the instance that a row of a search names, below the root of DICOMweb.
pub fn path_of(row: &Value) -> String {
    let of = |tag: &str| row[tag]["Value"][0].as_str().expect("a UID");
    format!(
        "/studies/{}/series/{}/instances/{}",
        of("0020000D"),
        of("0020000E"),
        of("00080018")
    )
}

/// Returns the parts of a multipart body: head and content.
pub fn parts(content_type: &str, body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let boundary = content_type.split("boundary=").nth(1).expect("a boundary");
    let boundary = boundary.split(';').next().unwrap_or("").trim_matches('"');
    let delimiter = format!("--{boundary}").into_bytes();
    let find = |from: usize, needle: &[u8]| {
        body.get(from..)
            .and_then(|rest| rest.windows(needle.len()).position(|w| w == needle))
            .map(|at| from + at)
    };
    let mut found = Vec::new();
    let mut at = find(0, &delimiter).expect("a first delimiter") + delimiter.len();
    while !body[at..].starts_with(b"--") {
        let head_end = find(at, b"\r\n\r\n").expect("an end of the part's head");
        let next = find(head_end, &delimiter).expect("a next delimiter");
        let head = String::from_utf8_lossy(&body[at..head_end]).trim().to_owned();
        found.push((head, body[head_end + 4..next - 2].to_vec()));
        at = next + delimiter.len();
    }
    found
}
