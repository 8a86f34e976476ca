//! De-identification of files, with no archive anywhere: the program on folders, as a person tries it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use isocenter_tests::archive::program;
use isocenter_tests::samples::{Sample, pixels_of};
use isocenter_tests::{corpus, peers};
use serde_json::Value;

const MARKER: &str = "ZQXMARKERZQX";

/// A folder to work in; the program knows of no other.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().expect("a folder"));
        desk.put("secret", b"correct horse battery staple");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("isocenter"));
        command
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default());
        command.current_dir(self.0.path()).arg("deid").args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Runs with `--json` and returns exit code and answer.
    fn answer(&self, arguments: &[&str]) -> (i32, Value) {
        let done = self.run(&[arguments, &["--json"]].concat());
        let answer = serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {}", peers::said(&done)));
        (done.status.code().unwrap(), answer)
    }
}

/// Every file below a folder by its name.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(
                    path.strip_prefix(root).unwrap().to_owned(),
                    std::fs::read(&path).unwrap(),
                );
            }
        }
    }
    found
}

fn objects(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = files(root);
    found.retain(|name, _| name.extension().is_some_and(|extension| extension == "dcm"));
    found
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_folder_goes_in_and_nobody_comes_out() {
    let desk = Desk::new();
    for number in 1..=5 {
        let sample = Sample::new(1, 1, number).marked(MARKER);
        desk.put(&format!("in/{MARKER}/{number}.dcm"), &sample.file());
    }
    let mut cut = Sample::new(1, 1, 6).marked(MARKER).file();
    cut.truncate(cut.len() / 2);
    desk.put("in/cut.dcm", &cut);
    desk.put("in/notes.txt", b"not an image");
    std::os::unix::fs::symlink(desk.path("secret"), desk.path("in/link")).unwrap();
    let run = |out: &str, more: &[&str]| {
        let arguments = [
            "run",
            "--secret-file",
            "secret",
            "--mapping",
            "map.json",
            "--held",
            "held",
        ];
        desk.answer(&[&arguments, more, &["in", out]].concat())
    };
    let (code, summary) = run("out", &["--reports", "reports.jsonl"]);
    assert_eq!(code, 4, "{summary}");
    assert_eq!(
        (&summary["written"], &summary["unreadable"], &summary["held"]),
        (&5.into(), &1.into(), &0.into())
    );
    assert_eq!(summary["not_dicom"], serde_json::json!(["notes.txt"]));
    assert_eq!(summary["passed_over"], serde_json::json!(["link"]));

    let out = objects(&desk.path("out"));
    assert_eq!(out.len(), 5);
    let mut pixels: Vec<Vec<u8>> = Vec::new();
    for (name, bytes) in &out {
        let name = name.to_str().unwrap();
        assert!(!name.contains(MARKER) && !name.contains("1.2.826"), "{name}");
        assert!(
            !bytes
                .windows(MARKER.len())
                .any(|window| window.eq_ignore_ascii_case(MARKER.as_bytes())),
            "{name}"
        );
        assert_eq!(mode(&desk.path("out").join(name)), 0o600);
        pixels.push(pixels_of(bytes));
    }
    let mut sent: Vec<Vec<u8>> = (1..=5).map(|number| Sample::new(1, 1, number).pixels()).collect();
    pixels.sort();
    sent.sort();
    assert!(pixels == sent, "pixels pass untouched");

    let map = desk.json("map.json");
    assert_eq!(
        (map.as_object().unwrap().len(), mode(&desk.path("map.json"))),
        (5, 0o600)
    );
    let new = map[&Sample::new(1, 1, 3).instance].as_str().unwrap();
    assert!(out.keys().any(|name| name.file_stem().unwrap() == new));
    let held = desk.json("out/held.json");
    assert_eq!(
        (held[0]["file"].as_str(), mode(&desk.path("out/held.json"))),
        (Some("cut.dcm"), 0o600)
    );
    assert_eq!(std::fs::read(desk.path("held/cut.dcm")).unwrap(), cut);
    let reports = std::fs::read_to_string(desk.path("reports.jsonl")).unwrap();
    assert!(reports.lines().count() == 5 && !reports.contains(MARKER), "{reports}");

    // the same secret gives the same bytes on one core as on many; another key gives others
    run("again", &["--jobs", "1"]);
    assert!(objects(&desk.path("again")) == out);
    let (_, forgotten) = desk.answer(&["run", "in", "other"]);
    assert_eq!(forgotten["second_run_matches"], false);
    assert!(objects(&desk.path("other")).keys().all(|name| !out.contains_key(name)));
    let made: Vec<_> = std::fs::read_dir(desk.0.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(!made.iter().any(|name| name == "data"), "an archive was made: {made:?}");
}

#[test]
fn what_cannot_be_made_safe_is_held_and_named() {
    let desk = Desk::new();
    desk.put("in.dcm", &Sample::new(1, 1, 1).file());
    let refused = desk.run(&["run", "--profile", "none", "in.dcm", "out"]);
    assert_eq!(refused.status.code(), Some(1), "{}", peers::said(&refused));
    desk.put(
        "hold.script",
        b"<script><e en=\"T\" t=\"00100020\" n=\"PatientID\">@quarantine()</e></script>",
    );
    let (code, summary) = desk.answer(&["run", "--script", "hold.script", "in.dcm", "out"]);
    assert_eq!((code, &summary["held"], &summary["written"]), (4, &1.into(), &0.into()));
    let held = desk.json("out/held.json");
    assert_eq!(held[0]["sop_instance_uid"], Sample::new(1, 1, 1).instance);
    assert!(objects(&desk.path("out")).is_empty());
}

#[test]
fn a_script_is_explained_asked_and_run() {
    let desk = Desk::new();
    desk.put("in.dcm", &Sample::new(1, 1, 1).file());
    desk.put(
        "site.script",
        b"<script><p t=\"SITE\">42</p><e en=\"T\" t=\"00100020\" n=\"PatientID\">@param(@SITE)</e>\
          <r en=\"T\" t=\"privategroups\">Remove private groups</r></script>",
    );
    let (code, words) = desk.answer(&["check", "site.script"]);
    assert_eq!(code, 0, "{words}");
    assert!(
        words["leaks"].as_u64().unwrap() > 0,
        "a script that names one attribute leaks the others"
    );
    desk.put(
        "broken.script",
        b"<script>\n<e en=\"T\" t=\"00100020\" n=\"PatientID\">@no_such(</e></script>",
    );
    let (code, words) = desk.answer(&["check", "broken.script"]);
    let fault = words["refused"][0]["text"].as_str().unwrap();
    assert!(
        code == 4 && fault.starts_with("line 2, column") && fault.contains("expected"),
        "{fault}"
    );

    let mut eval = desk.command(&["eval", "--mode", "compat", "--params", "site.script", "in.dcm"]);
    let mut eval = eval.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = "@param(@SITE)\n0010,0020\t@contents(this)\n@require()x\n";
    std::io::Write::write_all(&mut eval.stdin.take().unwrap(), lines.as_bytes()).unwrap();
    let answered = eval.wait_with_output().unwrap();
    let answers: Vec<Value> = String::from_utf8(answered.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0], serde_json::json!({"expr": "@param(@SITE)", "result": "42"}));
    assert_eq!(answers[1]["result"], Sample::new(1, 1, 1).patient_id);

    for (filter, holds) in [
        ("Modality.equals(\"CT\")", "true\n"),
        ("!Modality.equals(\"CT\")", "false\n"),
        ("nonsense(", "false\n"),
    ] {
        let said = desk.run(&["filter", "in.dcm", filter]);
        assert_eq!(String::from_utf8_lossy(&said.stdout), holds, "{filter}");
    }

    let (code, summary) = desk.answer(&["run", "--script", "site.script", "--mode", "compat", "in.dcm", "out"]);
    assert_eq!(code, 0, "{summary}");
    let (_, report) = desk.answer(&["report", "out"]);
    let elements = report["elements"].as_array().unwrap();
    let id = elements.iter().find(|element| element["path"] == "00100020").unwrap();
    assert_eq!(id["values"][0]["value"], "42");
}

#[test]
fn a_report_shows_every_value_and_runs_nothing() {
    let desk = Desk::new();
    desk.put("in/1.dcm", &Sample::new(1, 1, 1).marked("=cmd()").file());
    desk.put("in/2.dcm", &Sample::new(1, 1, 2).marked("<script>x").file());
    let (code, report) = desk.answer(&["report", "--html", "r.html", "--csv", "r.csv", "in"]);
    assert_eq!(
        (code, &report["objects"], &report["not_marked"]),
        (0, &2.into(), &2.into())
    );
    let page = std::fs::read_to_string(desk.path("r.html")).unwrap();
    assert!(page.contains("&lt;script&gt;x") && !page.contains("<script"), "{page}");
    let table = std::fs::read_to_string(desk.path("r.csv")).unwrap();
    assert!(table.contains("'=cmd()") && !table.contains(",=cmd()"), "{table}");
    assert_eq!(mode(&desk.path("r.html")), 0o600);
}

#[test]
fn files_of_other_people_come_out_readable() {
    let desk = Desk::new();
    let folder = corpus::pydicom_files();
    let names = [
        "CT_small.dcm",
        "MR_small.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_RLE.dcm",
        "JPEG2000.dcm",
        "rtplan.dcm",
        "rtdose.dcm",
        "image_dfl.dcm",
        "waveform_ecg.dcm",
        "test-SR.dcm",
        "examples_ybr_color.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "DICOMDIR",
        "chrH31.dcm",
    ];
    let mut there = 0;
    for name in names {
        if let Ok(bytes) = std::fs::read(folder.join(name)) {
            there += 1;
            desk.put(&format!("in/{name}"), &bytes);
        }
    }
    let (code, summary) = desk.answer(&["run", "--secret-file", "secret", "in", "out"]);
    assert!(code == 0 || code == 4, "{summary}");
    println!("{summary}");
    let written = summary["written"].as_u64().unwrap();
    assert!(there >= 10 && written >= 10, "{there} files: {summary}");
    assert_eq!(objects(&desk.path("out")).len() as u64, written);
    let checked = peers::script("readable.py", &[desk.path("out").to_str().unwrap()]);
    assert!(checked.status.success(), "{}", peers::said(&checked));
}

#[test]
fn the_benchmark_finds_nobody() {
    let Some(shared) = corpus::shared() else { return };
    let (data, score) = (shared.join("phi"), shared.join("../tools/score_deid.py"));
    if !data.is_dir() || !score.is_file() {
        eprintln!("left out: no benchmark of de-identification beside the shared data");
        return;
    }
    let desk = Desk::new();
    let original = data.join("original");
    let arguments = [
        "run",
        "--profile",
        "obia",
        "--secret-file",
        "secret",
        "--mapping",
        "map.json",
    ];
    let (code, summary) = desk.answer(&[&arguments[..], &[original.to_str().unwrap(), "out"]].concat());
    assert_eq!(code, 0, "{summary}");
    let scored = Command::new(corpus::python())
        .arg(score)
        .args([&data, &desk.path("out"), &data.join("answer_key.json")])
        .arg("--mapping")
        .arg(desk.path("map.json"))
        .arg("--json")
        .arg(desk.path("score.json"))
        .output()
        .expect("python runs");
    assert!(scored.status.success(), "{}", peers::said(&scored));
    let score = desk.json("score.json");
    println!("{}", peers::said(&scored));
    assert_eq!(
        (score["score_hide"].as_f64(), score["files_clean_percent"].as_f64()),
        (Some(100.0), Some(100.0))
    );
    assert!(score["score_keep"].as_f64().unwrap() >= 99.0, "{score}");
}
