//! A survey as a page and as a table. Values come from strangers: nothing of them is markup, script or formula.

use maud::{DOCTYPE, Markup, PreEscaped, html};

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
                title { "What these objects hold" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "What these objects hold" }
                p {
                    (report.objects) " objects, " (report.series) " series, " (report.studies) " studies, "
                    (report.patients) " patients."
                    @if report.not_marked > 0 {
                        " " strong { (report.not_marked) " objects do not say that they are de-identified." }
                    }
                }
                (machines(report))
                (elements(report))
                (left_out(report))
            }
        }
    };
    page.into_string()
}

fn machines(report: &Report) -> Markup {
    html! {
        h2 { "Machines" }
        table {
            tr { th { "Manufacturer" } th { "Model" } th { "Modality" } th { "Objects" } }
            @for machine in &report.machines {
                tr {
                    td { (machine.manufacturer) } td { (machine.model) } td { (machine.modality) }
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
            tr { th { "Element" } th { "Name" } th { "VR" } th { "Objects" } th { "Unique" } th { "Values" } }
            @for element in &report.elements {
                tr class=[element.private.then_some("p")] {
                    td { code { (element.path) } }
                    td { (element.keyword) } td { (element.vr) }
                    td.n { (element.objects) }
                    td.n { @if element.unique_is_least { "≥ " } (element.unique) }
                    td { (values(element)) }
                }
            }
        }
    }
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
    let mut out = String::from("path,keyword,vr,private,objects,times,unique,value,value_times,first_file\r\n");
    for element in &report.elements {
        let head = [
            element.path.clone(),
            element.keyword.to_owned(),
            element.vr.clone(),
            element.private.to_string(),
            element.objects.to_string(),
            element.times.to_string(),
            element.unique.to_string(),
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
