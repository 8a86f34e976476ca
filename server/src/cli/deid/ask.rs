//! `isocenter deid eval` and `filter`: what one expression, or one condition, answers on one object.
//!
//! Made for debugging scripts: the answer may hold values of the object, for the person who asks.

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use dicom_core::Tag;
use isocenter_deid::ctp::{Anonymizer, Filter, Mode, Script};
use serde_json::json;

use super::super::Output;
use super::files;
use super::object::{NotRead, Read};
use super::rules::{self, ModeFlag, ScriptInputs};

/// Expressions of a script.
#[derive(Debug, Args)]
pub(crate) struct EvalOptions {
    #[command(flatten)]
    inputs: ScriptInputs,
    /// Key of what strict mode keys [default: random, forgotten]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The object
    #[arg(value_name = "FILE.dcm")]
    file: PathBuf,
}

/// A condition.
#[derive(Debug, Args)]
pub(crate) struct FilterOptions {
    /// How faithful to CTP: it answers false to what is no filter; strict says what is wrong with it
    #[arg(long, value_enum, default_value = "compat")]
    mode: ModeFlag,
    /// The object
    #[arg(value_name = "FILE.dcm")]
    file: PathBuf,
    /// The filter
    #[arg(value_name = "EXPR")]
    filter: String,
}

fn read(path: &Path) -> anyhow::Result<Read> {
    let named = || path.display().to_string();
    let source = files::open(path).with_context(named)?;
    match Read::new(&*source) {
        Ok(read) => Ok(read),
        Err(NotRead::NotDicom) => bail!("{}: not DICOM", path.display()),
        Err(NotRead::Directory) => bail!("{}: a DICOMDIR is not an object", path.display()),
        Err(NotRead::Broken(reason)) => bail!("{}: {reason}", path.display()),
    }
}

/// Splits `gggg,eeee<TAB>EXPR`; an expression alone stands at no element.
fn asked(line: &str) -> (Option<Tag>, &str) {
    let number = |text: &str| (text.len() == 4).then(|| u16::from_str_radix(text, 16).ok()).flatten();
    let tagged = line.split_once('\t').and_then(|(tag, expression)| {
        let (group, element) = tag.split_once(',')?;
        Some((Tag(number(group)?, number(element)?), expression))
    });
    match tagged {
        Some((tag, expression)) => (Some(tag), expression),
        None => (None, line),
    }
}

/// Evaluates each line of standard input.
pub(crate) fn eval(options: &EvalOptions) -> anyhow::Result<u8> {
    let mode: Mode = options.inputs.mode.into();
    // rules may be referred to; in strict mode those of a script that is only there for its parameters are not asked for
    let script = match &options.inputs.params {
        Some(path) if mode == Mode::Compat => rules::script(path, mode)?,
        _ => Script::default(),
    };
    let inputs = options.inputs.read(Some(&script))?;
    let anonymizer = Anonymizer::new(script, mode, inputs).map_err(|faults| {
        let first = faults.first().map(ToString::to_string).unwrap_or_default();
        anyhow::anyhow!("refused: {first}")
    })?;
    let pseudonyms = rules::pseudonyms(options.secret_file.as_deref())?;
    let read = read(&options.file)?;
    let object = read.as_scripts_see_it(rules::ISSUER);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        let (at, expression) = asked(line.strip_suffix('\r').unwrap_or(&line));
        let answer = match anonymizer.evaluate(expression, at, &object, &pseudonyms) {
            Ok(result) => json!({"expr": expression, "result": result}),
            Err(thrown) => json!({"expr": expression, "throws": thrown.message}),
        };
        writeln!(out, "{answer}")?;
    }
    out.flush()?;
    Ok(0)
}

/// Says whether a condition holds.
#[expect(
    clippy::print_stderr,
    reason = "what is wrong with a filter that is answered all the same"
)]
pub(crate) fn filter(options: &FilterOptions, output: Output) -> anyhow::Result<u8> {
    let read = read(&options.file)?;
    let filter = match (Filter::parse(&options.filter), options.mode) {
        (Ok(filter), ModeFlag::Strict) => filter,
        (Err(fault), ModeFlag::Strict) => bail!("{fault}"),
        (fault, ModeFlag::Compat) => {
            if let Err(fault) = fault {
                eprintln!("isocenter: {fault}");
            }
            Filter::parse_compat(&options.filter)
        }
    };
    let holds = filter.matches(&read.as_scripts_see_it(rules::ISSUER));
    output.answer(&json!({"filter": options.filter, "result": holds}), |_| {
        holds.to_string()
    })?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_say_where_its_expression_stands() {
        assert_eq!(asked("0010,0020\t@hash(this)"), (Some(Tag(0x10, 0x20)), "@hash(this)"));
        assert_eq!(asked("7FE0,00fF\t"), (Some(Tag(0x7FE0, 0xFF)), ""));
        for line in ["@hash(this)", "", "10,20\t@empty()", "0010,0020 @empty()", "a\tb"] {
            assert_eq!(asked(line), (None, line));
        }
    }
}
