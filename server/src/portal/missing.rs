//! The page for what is not there. It does not tell whether the thing exists.

use maud::{Markup, html};

use super::frame::{Place, empty_frame, mark, page};

/// Returns the page; `path` is what was asked for.
pub fn missing(place: &Place, path: &str) -> Markup {
    let words = place.language.words();
    // A long path is a stranger's text; its beginning says enough.
    let path: String = path.chars().take(80).collect();
    let main = html! {
        div.wrap {
            div.head {
                h1 { (words.missing_title) }
                p.over { span.acc { (mark()) "404" } span.acc { (path) } }
            }
            div.ruler aria-hidden="true" {}
        }
        div.wrap.body {
            div.blank {
                (empty_frame(words.no_signal, "404"))
                div {
                    h2 { (words.missing_reasons) }
                    ul.try {
                        li { span { (words.missing_mistyped) " " span.acc { "S00041207" } } }
                        li { span { (words.missing_controlled) } }
                        li { span { (words.missing_unreleased) } }
                    }
                    p.up { (words.missing_same) }
                    p.up { a href={ (place.prefix) "/" } { (words.home) } }
                }
            }
        }
    };
    page(place, words.missing_title, &main)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::words::Language;

    #[test]
    fn markup_in_the_path_is_text() {
        let place = Place {
            prefix: String::new(),
            language: Language::English,
            logged_in: false,
        };
        let page = missing(&place, "/<script>alert(1)</script>").into_string();
        assert!(!page.contains("<script"));
        assert!(page.contains("&lt;script&gt;"));
    }
}
