//! `isocenter deid check`: a script in words, what it would leak, and what strict mode refuses. Also says whether a profile
//! that somebody wrote can be read.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use isocenter_deid::Profile;
use isocenter_deid::ctp::{Anonymizer, Explanation, LookupTable, Mode, Script, Severity};
use serde_json::{Value, json};

use super::super::Output;
use super::rules::{self, ScriptInputs};

/// Which script, with what.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    inputs: ScriptInputs,
    /// A script of CTP, XML or properties; or a profile, where the name ends in .toml
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs the command: 0 when strict mode takes the file, [`NOT_ALL`](super::NOT_ALL) when it refuses it.
pub(crate) fn run(options: &Options, output: Output) -> anyhow::Result<u8> {
    let text = rules::text(&options.file)?;
    if options.file.extension().is_some_and(|name| name == "toml") {
        return profile(&options.file, &text, output);
    }
    let (answer, refused) = match Script::parse_compat(&text) {
        Ok(script) => explain(options, script)?,
        Err(fault) => {
            let fault = refusal(fault.line, fault.to_string());
            (json!({"lines": [], "leaks": 0, "refused": [fault]}), true)
        }
    };
    output.answer(&answer, words)?;
    Ok(if refused { super::NOT_ALL } else { 0 })
}

fn profile(path: &Path, text: &str, output: Output) -> anyhow::Result<u8> {
    let profile = Profile::parse(text).with_context(|| path.display().to_string())?;
    let answer = json!({"profile": profile.name(), "profile_hash": hex::encode(profile.hash())});
    output.answer(&answer, |_| format!("profile {} can be used", profile.name()))?;
    Ok(0)
}

fn refusal(line: u32, text: String) -> Value {
    json!({"line": line, "text": text})
}

fn explain(options: &Options, script: Script) -> anyhow::Result<(Value, bool)> {
    let mut lines = script.explain();
    lines.retain(|line| line.severity != Severity::Refused);
    let mut inputs = options.inputs.read(Some(&script))?;
    // that no table is at hand now is no fault of the script
    inputs.lookup = inputs.lookup.or_else(|| Some(LookupTable::default().into()));
    let faults = Anonymizer::new(script, Mode::Strict, inputs).err().unwrap_or_default();
    let refused: Vec<Value> = faults
        .iter()
        .map(|fault| refusal(fault.line, fault.to_string()))
        .collect();
    let leaks = lines.iter().filter(|line| line.severity == Severity::Leak).count();
    let any = !refused.is_empty();
    let lines: Vec<Value> = lines.iter().map(line).collect();
    Ok((json!({"lines": lines, "leaks": leaks, "refused": refused}), any))
}

fn line(line: &Explanation) -> Value {
    let severity = match line.severity {
        Severity::Says => "says",
        Severity::Notice => "notice",
        Severity::Leak => "leak",
        Severity::Refused => "refused",
    };
    json!({"line": line.line, "severity": severity, "attribute": line.attribute, "text": line.text})
}

/// The answer for people: what the script says, then what to know.
fn words(answer: &Value) -> String {
    let list = |name: &str| answer.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let lines = list("lines");
    let text = |line: &Value, key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let place = |line: &Value| match line.get("line").and_then(Value::as_u64) {
        Some(0) | None => "       ".to_owned(),
        Some(number) => format!("{number:>6} "),
    };
    let mut out = String::new();
    for (severity, title) in [
        ("says", "What it does:"),
        ("notice", "What to know before approving it:"),
        ("leak", "What it would leak, at least in compatible mode:"),
    ] {
        let these: Vec<&Value> = lines.iter().filter(|line| text(line, "severity") == severity).collect();
        if these.is_empty() {
            continue;
        }
        out.push_str(&format!("{title}\n"));
        for line in these {
            let attribute = text(line, "attribute");
            let colon = if attribute.is_empty() { "" } else { ": " };
            out.push_str(&format!("{}{attribute}{colon}{}\n", place(line), text(line, "text")));
        }
    }
    let refused = list("refused");
    if refused.is_empty() {
        out.push_str("Strict mode takes it.");
    } else {
        out.push_str("Strict mode refuses it:\n");
        for fault in &refused {
            out.push_str(&format!("       {}\n", text(fault, "text")));
        }
    }
    out
}
