//! `/login?code=…` and `/logout`: the two doors of a session.
//!
//! Following the link logs in and leads to the first page; the address with the code is not kept by the browser's history of
//! pages and not told to other sites. `HEAD` would use the link up unseen, so only `GET` is answered. To log out is a form, for
//! it changes something; a foreign page cannot send it with the cookie.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::frame::{self, Place, mark, page};
use super::place;
use crate::archive::Archive;
use crate::auth::{Caller, session};
use crate::http_error::HttpError;
use crate::links::PublicRoot;
use crate::reading::not_allowed;

/// Adds the two routes.
pub fn configure(app: &mut web::ServiceConfig) {
    let login = web::resource("/login")
        .route(web::get().to(login))
        .default_service(web::to(|| async { not_allowed("GET") }));
    let logout = web::resource("/logout")
        .route(web::post().to(logout))
        .default_service(web::to(|| async { not_allowed("POST") }));
    app.service(login).service(logout);
}

async fn login(
    request: HttpRequest,
    caller: Caller,
    root: PublicRoot,
    archive: web::Data<Archive>,
) -> Result<HttpResponse, HttpError> {
    let code = url::form_urlencoded::parse(request.query_string().as_bytes())
        .find(|(name, _)| name == "code")
        .map(|(_, value)| value.into_owned());
    let opened = session::open(&archive.db, &code.unwrap_or_default()).await;
    let place = place(&request, &root, &caller);
    match opened.map_err(failed)? {
        Some(secret) => Ok(to_first_page(&root, &place, secret)),
        None => Ok(frame::answer(StatusCode::FORBIDDEN, refused(&place))),
    }
}

async fn logout(
    request: HttpRequest,
    caller: Caller,
    root: PublicRoot,
    archive: web::Data<Archive>,
) -> Result<HttpResponse, HttpError> {
    session::close(&archive.db, &request).await?;
    Ok(to_first_page(&root, &place(&request, &root, &caller), String::new()))
}

fn failed(error: anyhow::Error) -> HttpError {
    match error.downcast::<isocenter_schema::Error>() {
        Ok(error) => error.into(),
        Err(error) => HttpError::internal(&error),
    }
}

/// Answers with the way to the first page, and with the cookie.
fn to_first_page(root: &PublicRoot, place: &Place, secret: String) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, format!("{}/", place.prefix)))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .cookie(session::cookie(root.root(), &place.prefix, secret))
        .finish()
}

/// The page for a link that is good no more.
fn refused(place: &Place) -> Markup {
    let words = place.language.words();
    let main = html! {
        div.wrap {
            div.head {
                h1 { (words.link_title) }
                p.over { span.acc { (mark()) "403" } }
            }
            div.ruler aria-hidden="true" {}
        }
        div.wrap.body {
            p { (words.link_text) }
            p.up { a href={ (place.prefix) "/" } { (words.home) } }
        }
    };
    page(place, words.link_title, &main)
}

#[cfg(test)]
mod tests {
    use actix_web::App;
    use actix_web::cookie::Cookie;
    use actix_web::http::Method;
    use actix_web::test::{self, TestRequest};
    use chrono::TimeDelta;
    use isocenter_model::rights::Role;
    use isocenter_schema::tokens::{self, TokenKind};

    use super::*;
    use crate::world::{World, world, world_with};

    struct Answer {
        status: u16,
        location: String,
        cookie: Option<Cookie<'static>>,
        body: String,
    }

    async fn ask(world: &World, method: Method, path: &str, cookie: Option<&str>) -> Answer {
        let app = App::new()
            .app_data(world.archive.clone())
            .configure(crate::serve::routes);
        let app = test::init_service(app).await;
        let mut request = TestRequest::with_uri(path)
            .method(method)
            .insert_header(("host", "a.test"));
        if let Some(secret) = cookie {
            request = request.cookie(Cookie::new(session::COOKIE, secret.to_owned()));
        }
        let answer = test::call_service(&app, request.to_request()).await;
        let location = answer.headers().get("location");
        Answer {
            status: answer.status().as_u16(),
            location: location.map_or("", |value| value.to_str().unwrap()).to_owned(),
            cookie: answer.response().cookies().next().map(Cookie::into_owned),
            body: String::from_utf8_lossy(&test::read_body(answer).await).into_owned(),
        }
    }

    async fn code(world: &World, minutes: i64) -> String {
        let good_for = TimeDelta::minutes(minutes);
        let made = session::link(&world.archive.db, Role::Admin, None, good_for, "test");
        made.await.unwrap().code
    }

    #[actix_web::test]
    async fn a_link_logs_in_once_and_what_is_seen_is_the_callers() {
        let world = world().await;
        world.store_phantom().await;
        let code = code(&world, 15).await;
        let path = format!("/login?code={code}");
        // A look that is no visit does not use it up.
        assert_eq!(ask(&world, Method::HEAD, &path, None).await.status, 405);
        let opened = ask(&world, Method::GET, &path, None).await;
        assert_eq!((opened.status, opened.location.as_str()), (303, "/"));
        let cookie = opened.cookie.unwrap();
        let facts = cookie.to_string();
        for word in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(facts.contains(word), "{facts}");
        }
        assert!(!facts.contains("Secure"), "{facts}");
        let again = ask(&world, Method::GET, &path, None).await;
        assert_eq!((again.status, again.cookie), (403, None));
        assert!(again.body.contains("<html"), "{}", again.body);

        let secret = Some(cookie.value());
        let (mine, everybodys) = (
            ask(&world, Method::GET, "/", secret).await.body,
            ask(&world, Method::GET, "/", None).await.body,
        );
        assert!(mine.contains("/thumbnail") && mine.contains("/logout"));
        assert!(!everybodys.contains("/thumbnail") && !everybodys.contains("/logout"));
        assert!(
            ask(&world, Method::GET, "/dicom-web/studies", secret)
                .await
                .body
                .contains("0020000D")
        );
        // Whatever changes something needs a token: a foreign page could make the browser send the cookie.
        assert_eq!(
            ask(&world, Method::POST, "/dicom-web/studies", secret).await.status,
            401
        );
        // The session is no token, and the code is no session.
        let app = App::new()
            .app_data(world.archive.clone())
            .configure(crate::serve::routes);
        let app = test::init_service(app).await;
        let bearer = TestRequest::get()
            .uri("/dicom-web/studies")
            .insert_header(("authorization", format!("Bearer {}", cookie.value())));
        assert_eq!(
            test::call_service(&app, bearer.to_request()).await.status().as_u16(),
            401
        );
        assert!(
            !ask(&world, Method::GET, "/", Some(&code))
                .await
                .body
                .contains("/logout")
        );

        let out = ask(&world, Method::POST, "/logout", secret).await;
        assert_eq!((out.status, out.cookie.unwrap().value()), (303, ""));
        assert_eq!(ask(&world, Method::GET, "/", secret).await.body, everybodys);
        assert_eq!(ask(&world, Method::POST, "/logout", secret).await.status, 303);
    }

    #[actix_web::test]
    async fn a_link_that_is_too_old_or_made_up_opens_nothing() {
        let world = world().await;
        let old = code(&world, -1).await;
        for code in [old.as_str(), "", "lnk_made-up", "%00", &"l".repeat(5000)] {
            let answer = ask(&world, Method::GET, &format!("/login?code={code}"), None).await;
            assert_eq!((answer.status, answer.cookie), (403, None), "{code}");
        }
        assert_eq!(ask(&world, Method::GET, "/login", None).await.status, 403);
        assert!(
            tokens::list(&world.archive.db, TokenKind::Session)
                .await
                .unwrap()
                .is_empty()
        );
    }

    #[actix_web::test]
    async fn a_link_gives_the_role_that_it_was_made_for() {
        let world = world().await;
        world.store_phantom().await;
        let good_for = TimeDelta::minutes(15);
        let made = session::link(&world.archive.db, Role::Researcher, None, good_for, "test");
        let path = format!("/login?code={}", made.await.unwrap().code);
        let opened = ask(&world, Method::GET, &path, None).await;
        let cookie = opened.cookie.unwrap();
        let page = ask(&world, Method::GET, "/", Some(cookie.value())).await.body;
        assert!(page.contains("/logout") && !page.contains("/thumbnail"));
    }

    #[actix_web::test]
    async fn a_session_that_is_revoked_ends_at_once() {
        let world = world().await;
        let path = format!("/login?code={}", code(&world, 15).await);
        let opened = ask(&world, Method::GET, &path, None).await;
        let cookie = opened.cookie.unwrap();
        let sessions = tokens::list(&world.archive.db, TokenKind::Session).await.unwrap();
        let [session] = sessions.as_slice() else {
            panic!("{sessions:?}")
        };
        let tx = world.archive.db.begin_write().await.unwrap();
        tokens::revoke(&tx, &session.id).await.unwrap();
        tx.commit().await.unwrap();
        let page = ask(&world, Method::GET, "/", Some(cookie.value())).await.body;
        assert!(!page.contains("/logout"));
    }

    #[actix_web::test]
    async fn under_https_and_a_sub_path_the_cookie_stays_there() {
        let world = world_with(|settings| {
            settings.public_url = Some("https://a.example/archive".parse().unwrap());
        })
        .await;
        let code = code(&world, 15).await;
        let opened = ask(&world, Method::GET, &format!("/login?code={code}"), None).await;
        assert_eq!(opened.location, "/archive/");
        let facts = opened.cookie.unwrap().to_string();
        assert!(facts.contains("Secure") && facts.contains("Path=/archive/"), "{facts}");
    }

    #[actix_web::test]
    async fn the_database_holds_no_secret() {
        let world = world().await;
        let code = code(&world, 15).await;
        let opened = ask(&world, Method::GET, &format!("/login?code={code}"), None).await;
        let session = opened.cookie.unwrap().value().to_owned();
        let file = crate::present::database_file(&world.archive.settings).unwrap();
        let mut held = std::fs::read(&file).unwrap();
        held.extend(std::fs::read(file.with_extension("db-wal")).unwrap_or_default());
        let holds = |text: &str| held.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds("log in"));
        assert!(!holds(&code) && !holds(&session));
    }
}
