//! Store: what is taken, what is refused, and the protocol around it.

use super::*;

#[actix_web::test]
async fn what_is_stored_is_found_and_comes_back() {
    let world = world().await;
    let client = client(&world, Some(&world.token)).await;
    let files = phantoms();

    // The Inbox de-identifies: stored, with the warning of coercion.
    let stored = client.store("/studies", &files).await;
    assert_eq!(stored.status.as_u16(), 202, "{:?}", stored.body);
    assert_eq!(stored.header("content-type"), JSON);
    let module = stored.json();
    let successes = module["00081199"]["Value"].as_array().unwrap();
    assert_eq!(successes.len(), files.len());
    assert!(module.get("00081198").is_none(), "{module}");
    assert!(
        successes
            .iter()
            .all(|item| value(item, "00081196").as_u64() == Some(45056))
    );
    // The same again is the same.
    let again = client.store("/studies", &files).await;
    assert_eq!(again.status.as_u16(), 200, "{:?}", again.body);

    let studies = client.get("/studies", JSON).await.json();
    let studies = studies.as_array().unwrap();
    let images: u64 = studies.iter().map(|row| value(row, "00201208").as_u64().unwrap()).sum();
    assert_eq!(images as usize, files.len());
    for row in studies {
        let study = text(row, "0020000D");
        assert_eq!(
            text(row, "00081190"),
            format!("http://archive.test/dicom-web/studies/{study}")
        );
        let all = client.get(&format!("/studies/{study}"), RELATED).await;
        let parts = all.parts().await;
        assert_eq!(parts.len() as u64, value(row, "00201208").as_u64().unwrap());
        for (content_type, part) in parts {
            assert_eq!(content_type, "application/dicom; transfer-syntax=1.2.840.10008.1.2.1");
            assert_eq!(syntax(&part), "1.2.840.10008.1.2.1");
        }
        let thumbnail = client.get(&format!("/studies/{study}/thumbnail"), "*/*").await;
        assert!(thumbnail.body.starts_with(&[0xFF, 0xD8]), "{}", thumbnail.status);
    }
    // Trailing slash, and the other prefix.
    assert_eq!(
        client.get("/studies/", JSON).await.json().as_array().unwrap().len(),
        studies.len()
    );
    let scoped = client.get("/collections/OBIA0001/studies", JSON).await.json();
    assert_eq!(scoped.as_array().unwrap().len(), studies.len());
    assert!(text(&scoped[0], "00081190").contains("/dicom-web/collections/OBIA0001/studies/"));
    assert_eq!(
        client.get("/collections/OBIA0099/studies", JSON).await.json(),
        serde_json::json!([])
    );
}

#[actix_web::test]
async fn the_edges_of_the_protocol_are_answered() {
    let world = world().await;
    let client = client(&world, Some(&world.token)).await;
    let files = phantoms();
    let post = |path: &str, content_type: &str, body: Vec<u8>| {
        TestRequest::post()
            .uri(&format!("/dicom-web{path}"))
            .insert_header(("content-type", content_type))
            .set_payload(body)
    };
    // One object as the whole body.
    let one = client
        .send(post("/studies", "application/dicom", files[0].clone()))
        .await;
    assert_eq!(one.status.as_u16(), 202, "{:?}", one.body);
    let row = client.get("/instances", JSON).await.json()[0].clone();
    let instance = format!(
        "/studies/{}/series/{}/instances/{}",
        text(&row, "0020000D"),
        text(&row, "0020000E"),
        text(&row, "00080018")
    );

    assert_eq!(
        client
            .send(post("/studies", "text/plain", b"x".to_vec()))
            .await
            .status
            .as_u16(),
        415
    );
    assert_eq!(
        client
            .send(post("/studies", RELATED, b"x".to_vec()))
            .await
            .status
            .as_u16(),
        400
    );
    let no_parts = post("/studies", &format!("{RELATED}; boundary=b"), b"nothing".to_vec());
    assert_eq!(client.send(no_parts).await.status.as_u16(), 400);
    // A file that is cut off is a failure with a reason, and stays nowhere.
    let cut = client
        .store("/studies", &[files[1][..files[1].len() / 2].to_vec()])
        .await;
    assert_eq!(cut.status.as_u16(), 409, "{:?}", cut.body);
    assert_eq!(
        *value(&cut.json()["00081198"]["Value"][0], "00081197"),
        Value::from(49152)
    );
    let mixed = client
        .store("/studies", &[files[2].clone(), b"not DICOM".to_vec()])
        .await;
    assert_eq!(mixed.status.as_u16(), 202);
    assert_eq!(mixed.json()["00081198"]["Value"].as_array().unwrap().len(), 1);
    // Another study than the one in the path.
    let bound = client.store("/studies/1.2.3", &files[3..4]).await;
    assert_eq!(bound.status.as_u16(), 409);
    assert_eq!(
        *value(&bound.json()["00081198"]["Value"][0], "00081197"),
        Value::from(43265)
    );

    let delete = TestRequest::with_uri(&format!("/dicom-web{instance}")).method(Method::DELETE);
    let answer = client.send(delete).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET, HEAD"));
    let head = TestRequest::with_uri("/dicom-web/studies").method(Method::HEAD);
    assert_eq!(client.send(head).await.status.as_u16(), 200);
    let preflight = |origin: &'static str| {
        TestRequest::with_uri(&format!("/dicom-web{instance}/frames/1"))
            .method(Method::OPTIONS)
            .insert_header(("origin", origin))
            .insert_header(("access-control-request-method", "GET"))
    };
    let answer = client.send(preflight("https://viewer.example")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("access-control-allow-origin")),
        (204, "https://viewer.example")
    );
    let answer = client.send(preflight("https://other.example")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("access-control-allow-origin")),
        (405, "")
    );
    let called = TestRequest::get()
        .uri("/dicom-web/studies/1.2.3")
        .insert_header(("origin", "https://viewer.example"));
    let answer = client.send(called).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("access-control-allow-origin")),
        (404, "https://viewer.example")
    );
    let zipped = TestRequest::get()
        .uri(&format!("/dicom-web{instance}/metadata"))
        .insert_header(("accept-encoding", "gzip"));
    assert_eq!(client.send(zipped).await.header("content-encoding"), "gzip");
    assert_eq!(client.status("/nowhere", "*/*").await, 404);
}
