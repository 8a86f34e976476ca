//! The log-in link as a person meets it: made on the command line beside the running server, followed by a browser, listed and
//! ended by an administrator.

use isocenter_tests::archive::TestArchive;
use isocenter_tests::samples::Sample;
use reqwest::{Client, Response, redirect};

use crate::on_both;

fn browser() -> Client {
    Client::builder().redirect(redirect::Policy::none()).build().unwrap()
}

/// Makes a link for an administrator and returns its id and the path that it leads to.
fn link(archive: &TestArchive) -> (String, String) {
    let made = archive.json(&["token", "create", "--role", "admin", "--link"]);
    let (id, link) = (made["id"].as_str().unwrap(), made["link"].as_str().unwrap());
    let at = link.find("/login?code=").unwrap_or_else(|| panic!("{made}"));
    (id.to_owned(), link[at..].to_owned())
}

async fn ask(archive: &TestArchive, path: &str, cookie: &str) -> Response {
    let request = browser().get(format!("{}{path}", archive.url)).header("Cookie", cookie);
    request.send().await.unwrap()
}

async fn studies(archive: &TestArchive, cookie: &str) -> usize {
    let answer = ask(archive, "/dicom-web/studies", cookie).await;
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap().len()
}

on_both! {
    async fn a_link_opens_a_session_once_and_an_administrator_ends_it(archive: &mut TestArchive) {
        let admin = archive.admin.clone();
        assert_eq!(archive.stow("/studies", &[Sample::new(1, 1, 1).file()], Some(&admin)).await.0, 202);
        let (id, path) = link(archive);
        let listed = archive.json(&["token", "list", "--sessions"]);
        assert_eq!((&listed[0]["id"], &listed[0]["kind"]), (&id.as_str().into(), &"link".into()), "{listed}");

        let opened = ask(archive, &path, "").await;
        assert_eq!((opened.status().as_u16(), opened.headers()["location"].to_str().unwrap()), (303, "/"));
        let cookie = opened.headers()["set-cookie"].to_str().unwrap();
        for word in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(word), "{cookie}");
        }
        let cookie = cookie.split(';').next().unwrap().to_owned();
        assert_eq!(ask(archive, &path, "").await.status(), 403);
        // The archive is the administrator's in this browser, and nobody's elsewhere.
        assert_eq!(studies(archive, &cookie).await, 1);
        assert_eq!(studies(archive, "").await, 0);

        // A second person, by a second link; the first one's session is ended and the second's is not.
        let (_, path) = link(archive);
        let second = ask(archive, &path, "").await;
        let second = second.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let listed = archive.json(&["token", "list", "--sessions"]);
        let session = listed.as_array().unwrap().iter().find(|row| row["kind"] == "session" && row["principal"] == id.as_str());
        let session = session.unwrap_or_else(|| panic!("{listed}"))["id"].as_str().unwrap().to_owned();
        let secret = cookie.split_once('=').unwrap().1;
        assert!(!listed.to_string().contains(secret));
        archive.json(&["token", "revoke", &session]);
        assert_eq!(studies(archive, &cookie).await, 0);
        assert_eq!(studies(archive, &second).await, 1);
        let answer = browser().post(format!("{}/logout", archive.url)).header("Cookie", &second).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        assert_eq!(studies(archive, &second).await, 0);
    }

    async fn a_link_that_was_revoked_opens_nothing(archive: &mut TestArchive) {
        let (id, path) = link(archive);
        archive.json(&["token", "revoke", &id]);
        assert_eq!(ask(archive, &path, "").await.status(), 403);
        // Nor does the code serve where a token or a session is asked for.
        let code = path.split_once('=').unwrap().1;
        assert_eq!(archive.get("/dicom-web/studies", Some(code), None).await.status(), 401);
    }

    async fn a_foreign_page_that_rebound_its_name_reads_no_metrics(archive: &mut TestArchive) {
        let status = async |host: &str| {
            let request = browser().get(format!("{}/metrics", archive.url)).header("Host", host);
            request.send().await.unwrap().status().as_u16()
        };
        assert_eq!(status("localhost:8080").await, 200);
        assert_eq!(status("rebound.example:8080").await, 401);
    }
}
