//! What every page has: header with the grey wedge, footer, and the answer's headers.
//!
//! The policy is `default-src 'self'`: no inline script, no inline style, nothing from elsewhere. Paths begin with the sub-path
//! under which a proxy shows the archive, and name no host, so that a page works by whatever name it was reached.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use maud::{DOCTYPE, Markup, html};

use super::words::Language;

/// The headers that confine a page.
const POLICY: &str = "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// Where a page stands and in which language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Sub-path of the archive, empty or `/archive`.
    pub prefix: String,
    /// Language.
    pub language: Language,
    /// Whether somebody is logged in.
    pub logged_in: bool,
}

impl Place {
    /// Returns the sub-path of a public root, `https://host/archive` -> `/archive`.
    pub fn prefix_of(root: &str) -> String {
        let after_scheme = root.split_once("://").map_or(root, |(_, rest)| rest);
        after_scheme
            .find('/')
            .and_then(|at| after_scheme.get(at..))
            .unwrap_or("")
            .trim_end_matches('/')
            .to_owned()
    }
}

/// The mark: crosshair of the isocentre.
pub fn mark() -> Markup {
    html! {
        svg viewBox="0 0 32 32" fill="none" stroke="currentColor" stroke-width="1.5" aria-hidden="true" {
            circle cx="16" cy="16" r="9.5" {}
            path d="M16 1v10M16 21v10M1 16h10M21 16h10" {}
            circle cx="16" cy="16" r="1.6" fill="currentColor" stroke="none" {}
        }
    }
}

/// An empty frame: it stands for an absent picture.
pub fn empty_frame(top_left: &str, bottom_right: &str) -> Markup {
    html! {
        div.film aria-hidden="true" {
            svg.layer viewBox="0 0 240 240" {
                path.cut.faint d="M120 8v80M120 152v80M8 120h80M152 120h80" {}
                circle.cut cx="120" cy="120" r="32" {}
            }
            span.tl { (top_left) }
            span.br { (bottom_right) }
        }
    }
}

/// Returns a whole page around its main part.
pub fn page(place: &Place, title: &str, main: &Markup) -> Markup {
    let words = place.language.words();
    let prefix = &place.prefix;
    html! {
        (DOCTYPE)
        html lang=(place.language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Isocenter" }
                link rel="stylesheet" href={ (prefix) "/assets/site.css" };
                link rel="icon" type="image/svg+xml" href={ (prefix) "/assets/mark.svg" };
            }
            body {
                a.skip href="#main" { (words.skip) }
                header.top.on-film {
                    div.wrap {
                        a.brand href={ (prefix) "/" } { (mark()) "Isocenter" }
                        nav.nav aria-label=(words.main) {
                            a href={ (prefix) "/#studies" } { (words.studies) }
                            a href={ (prefix) "/#send" } { (words.send) }
                            a href={ (prefix) "/#read" } { (words.read) }
                        }
                        div.tools {
                            (languages(place))
                            @if place.logged_in {
                                form method="post" action={ (prefix) "/logout" } {
                                    button.plain type="submit" { (words.log_out) }
                                }
                            }
                        }
                    }
                    div.wedge aria-hidden="true" {}
                }
                main #main { (main) }
                footer.foot.on-film {
                    div.wrap {
                        p { (words.about) }
                        ul {
                            li { a href={ (prefix) "/api/openapi.json" } { (words.api) } }
                            li { a href={ (prefix) "/health/ready" } { (words.health) } }
                        }
                    }
                }
            }
        }
    }
}

fn languages(place: &Place) -> Markup {
    let here = |language| (place.language == language).then_some("true");
    html! {
        div.lang role="group" aria-label="Language 语言" {
            @for (language, label, code) in [(Language::English, "EN", "en"), (Language::Chinese, "中文", "zh")] {
                @if here(language).is_some() {
                    span aria-current="true" lang=(language.tag()) { (label) }
                } @else {
                    a href={ (place.prefix) "/?lang=" (code) } lang=(language.tag()) hreflang=(language.tag()) { (label) }
                }
            }
        }
    }
}

/// Answers with a page.
pub fn answer(status: StatusCode, page: Markup) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        // Counts are the caller's own.
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .insert_header((header::VARY, "Accept-Language, Authorization, Cookie"))
        .body(page.into_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sub_path_is_what_follows_the_host() {
        assert_eq!(Place::prefix_of("http://localhost:8080"), "");
        assert_eq!(Place::prefix_of("https://obia.example/archive"), "/archive");
        assert_eq!(Place::prefix_of("https://obia.example/"), "");
    }
}
