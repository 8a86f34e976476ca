//! A survey as a page and as a table. Values come from strangers: nothing of them is markup, script or formula.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::collection::CollectionReport;
use super::survey::{ElementLine, Report};

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:2em;max-width:80em}table{border-collapse:collapse}\
    td,th{text-align:left;vertical-align:top;padding:.2em .6em;border-bottom:1px solid #ddd}td.n{text-align:right}\
    code{white-space:pre-wrap;word-break:break-word}summary{cursor:pointer}.p{color:#777}";

/// Returns the survey as one HTML page that loads nothing.
pub(crate) fn html(report: &Report) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title(report)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title(report)) }
                p {
                    (report.objects) " objects, " (report.series) " series, " (report.studies) " studies, "
                    (report.patients) " patients."
                    @if report.not_marked > 0 {
                        " " strong { (report.not_marked) " objects do not say that they are de-identified." }
                    }
                }
                @if let Some(collection) = &report.collection { (counts(collection)) }
                (machines(report))
                (elements(report))
                @if let Some(collection) = &report.collection {
                    (changes(collection))
                    (pixels(collection))
                    (findings(collection))
                }
                (left_out(report))
            }
        }
    };
    page.into_string()
}

fn title(report: &Report) -> String {
    match &report.collection {
        Some(collection) => format!("What {} holds: {}", collection.accession, collection.title),
        None => "What these objects hold".to_owned(),
    }
}

fn counts(collection: &CollectionReport) -> Markup {
    let counts = &collection.counts;
    html! {
        h2 { "Collection" }
        p {
            (counts.individuals) " individuals, " (counts.studies) " studies, " (counts.series) " series; "
            @for (state, images) in &counts.images { (images) " images " (state) ", " }
            (counts.quarantined) " objects wait in quarantine. Profile " (collection.profile) "."
        }
        table {
            tr { th { "De-identified with" } th { "Hash" } th { "Engine" } th { "Images" } }
            @for rules in &collection.done.rules {
                tr {
                    td { (rules.profile) } td { code { (rules.profile_hash) } } td { (rules.engine) }
                    td.n { (rules.objects) }
                }
            }
        }
    }
}

/// What was changed as intended: where, by which rule, how often; values of before are known to nobody.
fn changes(collection: &CollectionReport) -> Markup {
    let done = &collection.done;
    html! {
        h2 { "Done by de-identification" }
        @if done.changes_left_out > 0 {
            p { (done.changes_left_out) " more changes are not listed." }
        }
        table {
            tr { th { "Element" } th { "Name" } th { "Action" } th { "Rule" } th { "Times" } }
            @for change in &done.changes {
                tr {
                    td { code { (change.path) } } td { (change.keyword) }
                    td { (word(&change.action)) } td { (change.rule) } td.n { (change.times) }
                }
            }
        }
        @if !done.private_kept.is_empty() {
            h2 { "Private elements that stay, and why" }
            table {
                tr { th { "Element and rule" } th { "Times" } }
                @for kept in &done.private_kept {
                    tr { td { code { (kept.element) } } td.n { (kept.times) } }
                }
            }
        }
        @if !done.warnings.is_empty() {
            h2 { "What a person should know" }
            table {
                tr { th { "Warning" } th { "Images" } }
                @for (warning, images) in &done.warnings { tr { td { (warning) } td.n { (images) } } }
            }
        }
    }
}

/// Returns the word that the JSON has for an action.
fn word(action: &isocenter_deid::Action) -> String {
    let word = serde_json::to_value(action).ok();
    word.and_then(|word| word.as_str().map(|word| word.replace('_', " ")))
        .unwrap_or_default()
}

fn pixels(collection: &CollectionReport) -> Markup {
    let (done, risks) = (&collection.done.pixels, &collection.done.pixel_risks);
    html! {
        h2 { "Pixels" }
        p {
            "Something is hidden in " (done.hidden) " images. Detectors found " (done.found) " boxes of text, "
            (done.matched) " of them repeating a known value; " (done.not_whole) " images were not searched whole. "
            (done.stored_otherwise) " images are stored in another transfer syntax for it."
        }
        table {
            tr { th { "Of" } th { "Which" } th { "Images" } }
            @for (line, images) in &done.signatures {
                tr { td { "device signature" } td { "line " (line) } td.n { (images) } }
            }
            @for (detector, images) in &done.detectors { tr { td { "detector" } td { (detector) } td.n { (images) } } }
            @for (risk, images) in risks { tr { td { "risk" } td { (risk.replace('_', " ")) } td.n { (images) } } }
        }
    }
}

fn findings(collection: &CollectionReport) -> Markup {
    html! {
        h2 { "Findings of the checks" }
        table {
            tr { th { "Check" } th { "Severity" } th { "State" } th { "Findings" } th { "In quarantine" } }
            @for found in &collection.findings {
                tr {
                    td { (found.check_code) } td { (found.severity) } td { (found.state) }
                    td.n { (found.findings) } td.n { (found.in_quarantine) }
                }
            }
        }
        h2 { "Kept out" }
        table {
            tr { th { "Check" } th { "State" } th { "SOP class" } th { "Objects" } }
            @for kept in &collection.kept_out {
                tr {
                    td { (kept.check_code) } td { (kept.state) } td { (kept.sop_class_uid) } td.n { (kept.objects) }
                }
            }
        }
    }
}

fn machines(report: &Report) -> Markup {
    html! {
        h2 { "Machines" }
        table {
            tr { th { "No." } th { "Manufacturer" } th { "Model" } th { "Modality" } th { "Objects" } }
            @for (number, machine) in report.machines.iter().enumerate() {
                tr {
                    td.n { (number) } td { (machine.manufacturer) } td { (machine.model) } td { (machine.modality) }
                    td.n { (machine.objects) }
                }
            }
        }
    }
}

fn elements(report: &Report) -> Markup {
    html! {
        h2 { "Elements" }
        @if report.elements_left_out > 0 {
            p { (report.elements_left_out) " more are not listed." }
        }
        table {
            tr { th { "Element" } th { "Name" } th { "VR" } th { "Objects" } th { "Unique" } th { "Machines" } th { "Values" } }
            @for element in &report.elements {
                tr class=[element.private.then_some("p")] {
                    td { code { (element.path) } }
                    td { (element.keyword) } td { (element.vr) }
                    td.n { (element.objects) }
                    td.n { @if element.unique_is_least { "≥ " } (element.unique) }
                    td { (on_machines(element)) }
                    td { (values(element)) }
                }
            }
        }
    }
}

/// The numbers of the machines, the first of them.
fn on_machines(element: &ElementLine) -> String {
    const SHOWN: usize = 8;
    let mut numbers: Vec<String> = element
        .machines
        .iter()
        .take(SHOWN)
        .map(|of| of.machine.to_string())
        .collect();
    if element.machines.len() > SHOWN {
        numbers.push(format!("and {} more", element.machines.len() - SHOWN));
    }
    numbers.join(", ")
}

fn values(element: &ElementLine) -> Markup {
    let more = element.unique.saturating_sub(element.values.len() as u64);
    let list = html! {
        @for value in &element.values {
            div { code { (value.value) } " × " (value.times) }
        }
        @if more > 0 { div { (more) " more" } }
    };
    match element.values.as_slice() {
        [] => html! { @if element.private { "not shown" } },
        [_] if more == 0 => list,
        _ => html! { details { summary { (element.values.len()) " shown" } (list) } },
    }
}

fn left_out(report: &Report) -> Markup {
    html! {
        @if !report.left_out.is_empty() {
            h2 { "Files that are not in this report" }
            @if report.left_out_not_listed > 0 { p { (report.left_out_not_listed) " more are not listed." } }
            table {
                @for file in &report.left_out {
                    tr { td { code { (file.file) } } td { (file.reason) } }
                }
            }
        }
    }
}

/// Returns the survey as CSV (RFC 4180), a line for each value; elements of which none is shown have one line.
pub(crate) fn csv(report: &Report) -> String {
    let mut out =
        String::from("path,keyword,vr,private,objects,times,unique,machines,value,value_times,first_file\r\n");
    for element in &report.elements {
        let head = [
            element.path.clone(),
            element.keyword.to_owned(),
            element.vr.clone(),
            element.private.to_string(),
            element.objects.to_string(),
            element.times.to_string(),
            element.unique.to_string(),
            element.machines.len().to_string(),
        ];
        let none = [[String::new(), String::new(), String::new()]];
        let values: Vec<[String; 3]> = element
            .values
            .iter()
            .map(|value| [value.value.clone(), value.times.to_string(), value.first_file.clone()])
            .collect();
        for tail in if values.is_empty() { &none[..] } else { &values[..] } {
            let cells: Vec<String> = head.iter().chain(tail).map(|cell| field(cell)).collect();
            out.push_str(&cells.join(","));
            out.push_str("\r\n");
        }
    }
    out
}

/// Returns a field, quoted where it must be. What a spreadsheet would take for a formula gets an apostrophe before it;
/// numbers are none.
fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    let apostrophe = if formula { "'" } else { "" };
    if formula || text.contains(['"', ',', '\r', '\n']) {
        return format!("\"{apostrophe}{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::survey::tests::survey;
    use super::*;

    #[test]
    fn values_are_neither_markup_nor_formulas() {
        let report = survey(true);
        let page = html(&report);
        assert!(
            page.contains("=HYPERLINK(&quot;&lt;b&gt;&quot;)") && !page.contains("<b>"),
            "{page}"
        );
        let table = csv(&report);
        assert!(table.contains("\"'=HYPERLINK(\"\"<b>\"\")\""), "{table}");
        assert!(table.lines().count() > report.elements.len());
    }

    #[test]
    fn a_negative_number_stays_a_number() {
        assert_eq!(field("-320.5"), "-320.5");
        assert_eq!(field("-1+2"), "\"'-1+2\"");
        assert_eq!(field("@SUM(A1)"), "\"'@SUM(A1)\"");
        assert_eq!(field("a,b"), "\"a,b\"");
        assert_eq!(field("plain"), "plain");
    }
}
