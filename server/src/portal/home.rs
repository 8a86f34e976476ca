//! The first page: how much there is, what came last, and how to send and read.
//!
//! A pure function from [`Home`] to markup. Everything it shows is what the caller may see; for a stranger that is released,
//! open data, so on a fresh archive the page is the empty state that says how to send the first study.

use maud::{Markup, html};

use super::frame::{Place, empty_frame, page};
use super::words::Words;

/// What the page shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Home {
    /// How much the caller may see.
    pub counts: Counts,
    /// Series by modality, largest first.
    pub modalities: Vec<(String, u64)>,
    /// The newest studies, newest first.
    pub recent: Vec<Recent>,
    /// How to send and read.
    pub doors: Doors,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Individuals.
    pub individuals: u64,
    /// Studies.
    pub studies: u64,
    /// Series.
    pub series: u64,
    /// Images.
    pub images: u64,
    /// Modalities.
    pub modalities: u64,
}

/// One of the newest studies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recent {
    /// Study Instance UID.
    pub study_instance_uid: String,
    /// Accession of the study in the archive.
    pub accession: String,
    /// Accession of its collection.
    pub collection: String,
    /// Study Description; may be empty.
    pub description: String,
    /// Modalities.
    pub modalities: Vec<String>,
    /// Study Date, `YYYYMMDD` or empty.
    pub date: String,
    /// Number of series.
    pub series: u64,
    /// Number of images.
    pub images: u64,
}

/// Where to send to and read from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doors {
    /// AE title of the Inbox.
    pub ae_title: String,
    /// Host as the caller knows it.
    pub host: String,
    /// DIMSE port.
    pub port: u16,
    /// Base of the DICOMweb services.
    pub dicom_web: String,
}

/// Returns a number with a comma between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Returns `20260131` as `2026-01-31`; anything else as it is.
fn dashed(date: &str) -> String {
    match (date.get(..4), date.get(4..6), date.get(6..)) {
        (Some(year), Some(month), Some(day)) if date.len() == 8 => format!("{year}-{month}-{day}"),
        _ => date.to_owned(),
    }
}

/// Returns the page.
pub fn home(place: &Place, home: &Home) -> Markup {
    let words = place.language.words();
    let main = html! {
        (hero(place, words, home))
        div.wrap.body {
            section.sec {
                h2.sr { (words.holds) }
                (counts(words, &home.counts))
            }
            @if home.recent.is_empty() {
                (nothing_yet(words))
            } @else {
                section.sec.cols #studies {
                    div { h2 { (words.recent) } (table(place, words, &home.recent)) }
                    @if !home.modalities.is_empty() {
                        div { h2 { (words.by_modality) } (bars(&home.modalities)) }
                    }
                }
            }
            (doors(words, &home.doors))
        }
    };
    page(place, words.title, &main)
}

fn thumbnail(place: &Place, study: &Recent) -> String {
    format!(
        "{}/dicom-web/studies/{}/thumbnail",
        place.prefix, study.study_instance_uid
    )
}

fn rendered(place: &Place, study: &Recent) -> String {
    format!(
        "{}/dicom-web/studies/{}/rendered",
        place.prefix, study.study_instance_uid
    )
}

fn hero(place: &Place, words: &Words, home: &Home) -> Markup {
    html! {
        section.hero.on-film {
            div.wrap {
                div {
                    h1 { (words.headline) }
                    p.lead { (words.lead) }
                }
                @if let Some(newest) = home.recent.first() {
                    a.film href=(rendered(place, newest)) {
                        img src=(thumbnail(place, newest)) width="352" height="264" alt=(words.newest_picture);
                        span.tl { (newest.accession) }
                        span.br { (newest.modalities.join(", ")) }
                    }
                }
                // The table below names the same studies.
                @if home.recent.len() > 3 {
                    div.slices aria-hidden="true" {
                        @for (number, study) in home.recent.iter().take(12).enumerate() {
                            div.film {
                                img src=(thumbnail(place, study)) width="168" height="126" alt="" loading="lazy";
                                span.tl { (number + 1) }
                            }
                        }
                    }
                }
                p.credit { span { (words.wedge) } }
            }
        }
    }
}

fn counts(words: &Words, counts: &Counts) -> Markup {
    html! {
        dl.counts {
            @for (name, number) in [
                (words.count_individuals, counts.individuals),
                (words.count_studies, counts.studies),
                (words.count_series, counts.series),
                (words.count_images, counts.images),
                (words.count_modalities, counts.modalities),
            ] {
                div { dt { (name) } dd { (grouped(number)) } }
            }
        }
    }
}

fn table(place: &Place, words: &Words, recent: &[Recent]) -> Markup {
    html! {
        table.stack {
            thead {
                tr {
                    th scope="col" { span.sr { (words.picture) } }
                    th scope="col" { (words.study) }
                    th.n scope="col" { (words.series) }
                    th.n scope="col" { (words.images) }
                    th.n.opt scope="col" { (words.date) }
                }
            }
            tbody {
                @for study in recent {
                    tr {
                        td.film-cell {
                            a.film href=(rendered(place, study)) aria-label={ (words.open_picture) " " (study.accession) } {
                                img src=(thumbnail(place, study)) width="96" height="72" alt="" loading="lazy";
                            }
                        }
                        th scope="row" {
                            span.name {
                                @if study.description.is_empty() { (words.untitled) } @else { (study.description) }
                            }
                            span.meta {
                                span.acc { (study.accession) }
                                span { (study.modalities.join(", ")) }
                                span.acc { (study.collection) }
                            }
                        }
                        td.n data-l=(words.count_series) { (grouped(study.series)) }
                        td.n data-l=(words.count_images) { (grouped(study.images)) }
                        td.n.opt { (dashed(&study.date)) }
                    }
                }
            }
        }
    }
}

fn bars(modalities: &[(String, u64)]) -> Markup {
    let most = modalities.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    html! {
        div.bars-wrap {
            ul."bars brief" {
                @for (modality, count) in modalities {
                    li {
                        // A page for each comes with the browser; until then the row is no link, and looks the same.
                        a {
                            span { (modality) }
                            svg aria-hidden="true" {
                                rect width={ (format!("{:.1}", *count as f64 * 100.0 / most as f64)) "%" } height="100%" {}
                            }
                            span { (grouped(*count)) }
                        }
                    }
                }
            }
        }
    }
}

fn nothing_yet(words: &Words) -> Markup {
    html! {
        section.sec #studies {
            div.blank {
                (empty_frame("0 / 0", "W –  C –"))
                div {
                    h2 { (words.empty_title) }
                    p.dim { (words.empty_text) }
                    ul.try {
                        li { a href="#send" { (words.empty_send) } }
                        li { span { (words.empty_release) } code { "isocenter collection release OBIA0001" } }
                    }
                    p.small.dim.up { (words.empty_token) }
                }
            }
        }
    }
}

fn doors(words: &Words, doors: &Doors) -> Markup {
    html! {
        section.sec #send {
            h2 { (words.ways_in) }
            div."cols three" {
                div.prose {
                    h3 { (words.send_dimse) }
                    p { (words.send_dimse_text) }
                    dl.defs.up {
                        dt { (words.ae_title) } dd.acc { (doors.ae_title) }
                        dt { (words.host) } dd.acc { (doors.host) }
                        dt { (words.port) } dd.acc { (doors.port) }
                    }
                    code.code {
                        "storescu -aec " (doors.ae_title) " +sd +r \\\n    " (doors.host) " " (doors.port) " study/"
                    }
                }
                div.prose {
                    h3 { (words.send_web) }
                    p { (words.send_web_text) }
                    code.code {
                        "curl -H \"Authorization: Bearer $TOKEN\" \\\n"
                        "  -H \"Content-Type: application/dicom\" \\\n"
                        "  --data-binary @image.dcm \\\n  " (doors.dicom_web) "/studies"
                    }
                }
                div.prose #read {
                    h3 { (words.read_web) }
                    p { (words.read_web_text) }
                    code.code {
                        "curl \"" (doors.dicom_web) "/studies?ModalitiesInStudy=MR&limit=10\""
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::words::Language;

    fn place(language: Language) -> Place {
        Place {
            prefix: "/archive".into(),
            language,
            logged_in: false,
        }
    }

    fn filled() -> Home {
        let study = Recent {
            study_instance_uid: "1.2.3".into(),
            accession: "S00000007".into(),
            collection: "OBIA0001".into(),
            description: "Pelvis <b>staging</b>".into(),
            modalities: vec!["MR".into(), "SEG".into()],
            date: "20260131".into(),
            series: 6,
            images: 1566,
        };
        Home {
            counts: Counts {
                individuals: 2,
                studies: 3,
                series: 44,
                images: 1_938_309,
                modalities: 2,
            },
            modalities: vec![("MR".into(), 40), ("SEG".into(), 4)],
            recent: vec![study; 5],
            doors: Doors {
                ae_title: "ISOCENTER".into(),
                host: "obia.example".into(),
                port: 11112,
                dicom_web: "https://obia.example/archive/dicom-web".into(),
            },
        }
    }

    #[test]
    fn the_page_keeps_to_its_policy() {
        for language in [Language::English, Language::Chinese] {
            for content in [filled(), Home::default()] {
                let page = home(&place(language), &content).into_string();
                for banned in ["style=", "<script", "onload", "<style"] {
                    assert!(!page.contains(banned), "{banned}");
                }
            }
        }
    }

    #[test]
    fn what_a_peer_wrote_is_text() {
        let page = home(&place(Language::English), &filled()).into_string();
        assert!(page.contains("Pelvis &lt;b&gt;staging"));
    }

    #[test]
    fn counts_studies_and_the_ways_in_are_there() {
        let page = home(&place(Language::English), &filled()).into_string();
        for text in [
            "1,938,309",
            "S00000007",
            "2026-01-31",
            "/archive/dicom-web/studies/1.2.3/thumbnail",
            "storescu -aec ISOCENTER",
            "obia.example 11112",
            "https://obia.example/archive/dicom-web/studies",
            "/archive/assets/site.css",
        ] {
            assert!(page.contains(text), "{text}");
        }
    }

    #[test]
    fn an_empty_archive_says_how_to_fill_it() {
        let page = home(&place(Language::English), &Home::default()).into_string();
        assert!(page.contains("Nothing here to see yet"));
        assert!(!page.contains("<img"));
        assert!(
            home(&place(Language::Chinese), &Home::default())
                .into_string()
                .contains("lang=\"zh-CN\"")
        );
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_938_309, "1,938,309")] {
            assert_eq!(grouped(number), text);
        }
    }
}
