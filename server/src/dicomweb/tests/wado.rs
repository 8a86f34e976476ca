//! Retrieve: one image in all its representations.

use super::*;

#[actix_web::test]
async fn metadata_frames_and_bulk_data_agree() {
    let world = world().await;
    let client = client(&world, Some(&world.token)).await;
    client.store("/studies", &phantoms()).await;
    let row = client.get("/instances?Modality=CT&limit=1", JSON).await.json()[0].clone();
    let study = format!("/studies/{}", text(&row, "0020000D"));
    let series = format!("{study}/series/{}", text(&row, "0020000E"));
    let instance = format!("{series}/instances/{}", text(&row, "00080018"));

    let metadata = client.get(&format!("{series}/metadata"), JSON).await;
    assert_eq!(metadata.status.as_u16(), 200);
    let records = metadata.json();
    assert_eq!(records.as_array().unwrap().len(), 3);
    let tag = metadata.header("etag").to_owned();
    let held = TestRequest::get()
        .uri(&format!("/dicom-web{series}/metadata"))
        .insert_header(("if-none-match", tag));
    assert_eq!(client.send(held).await.status.as_u16(), 304);
    let own = client.get(&format!("{instance}/metadata"), JSON).await.json();
    assert_eq!(own[0]["00080018"], row["00080018"]);
    let uri = own[0]["7FE00010"]["BulkDataURI"].as_str().unwrap();
    assert_eq!(
        uri,
        format!("http://archive.test/dicom-web{instance}/bulkdata/7FE00010")
    );

    let file = client.get(&instance, "application/dicom").await;
    assert_eq!(file.header("content-type"), "application/dicom");
    let expected = pixels(&file.body);
    assert_eq!(expected.len(), 32 * 32 * 2);
    let bulk = client
        .get(uri.trim_start_matches("http://archive.test/dicom-web"), "*/*")
        .await;
    assert!(bulk.body == expected, "{} bytes", bulk.body.len());
    let frames = client.get(&format!("{instance}/frames/1"), OCTETS).await.parts().await;
    assert_eq!(
        frames,
        [(
            "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1".to_owned(),
            expected.clone().into()
        )]
    );
    let twice = client.get(&format!("{instance}/frames/1,1"), "*/*").await.parts().await;
    assert_eq!(twice.len(), 2);
    for (path, status) in [
        ("/frames/0", 400),
        ("/frames/x", 400),
        ("/frames/2", 404),
        ("/frames/1%2C2", 404),
        ("/bulkdata/00100010/1/00100010", 404),
        ("/bulkdata/..", 404),
    ] {
        assert_eq!(
            client.status(&format!("{instance}{path}"), "*/*").await,
            status,
            "{path}"
        );
    }
    assert_eq!(client.status(&format!("{instance}/frames/1"), "image/jp2").await, 406);

    let jpeg = client.get(&format!("{instance}/rendered"), "image/*").await;
    assert!(jpeg.body.starts_with(&[0xFF, 0xD8]) && jpeg.header("content-type") == "image/jpeg");
    let png = client
        .get(
            &format!("{instance}/frames/1/rendered?accept=image%2Fpng&viewport=16,16&window=40,400,linear"),
            OCTETS,
        )
        .await;
    assert!(png.body.starts_with(b"\x89PNG"), "{}", png.status);
    assert_eq!(
        client.status(&format!("{instance}/rendered?quality=0"), "*/*").await,
        400
    );
    assert_eq!(client.status(&format!("{instance}/rendered"), "image/gif").await, 406);
    assert_eq!(client.status(&format!("{series}/thumbnail"), "image/png").await, 200);

    let wado = format!(
        "/wado?requestType=WADO&studyUID={}&seriesUID={}&objectUID={}",
        text(&row, "0020000D"),
        text(&row, "0020000E"),
        text(&row, "00080018")
    );
    assert_eq!(client.get(&wado, "*/*").await.header("content-type"), "image/jpeg");
    let object = client
        .get(&format!("{wado}&contentType=application%2Fdicom"), "*/*")
        .await;
    assert!(pixels(&object.body) == expected);
    assert_eq!(client.status("/wado?requestType=WADO", "*/*").await, 400);
}

#[actix_web::test]
async fn all_syntaxes_of_one_image_give_the_same_native_frame() {
    let root = std::env::var_os("ISOCENTER_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let folder = root.join("dicom/transfer-syntax/mr-small");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("left out: ../shared/data is absent (looked in {})", folder.display());
        return;
    };
    let world = world().await;
    let client = client(&world, Some(&world.token)).await;
    let mut frames = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // One instance has one content: each of its syntaxes goes to a collection of its own.
        let new = NewCollection {
            title: name.clone(),
            profile: "none".into(),
            release: ReleaseRule::Manual,
            access: Access::Open,
            originals: Originals::None,
            ae_title: None,
            issuer: String::new(),
        };
        let collection: CollectionAccession = world.archive.create_collection(new, "test").await.unwrap();
        let base = format!("/collections/{collection}");
        let stored = client
            .store(&format!("{base}/studies"), &[std::fs::read(&path).unwrap()])
            .await;
        assert!(stored.status.is_success(), "{name}: {:?}", stored.body);
        let row = client.get(&format!("{base}/instances"), JSON).await.json()[0].clone();
        let instance = format!(
            "{base}/studies/{}/series/{}/instances/{}",
            text(&row, "0020000D"),
            text(&row, "0020000E"),
            text(&row, "00080018")
        );
        let native = client.get(&format!("{instance}/frames/1"), OCTETS).await;
        assert_eq!(native.status.as_u16(), 200, "{name}");
        let (content_type, frame) = native.parts().await.remove(0);
        assert_eq!(
            content_type, "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1",
            "{name}"
        );
        let file = client.get(&instance, RELATED).await.parts().await.remove(0).1;
        assert_eq!(syntax(&file), "1.2.840.10008.1.2.1", "{name}");
        assert!(pixels(&file) == frame, "{name}");
        let picture = client.get(&format!("{instance}/rendered"), "image/png").await;
        assert!(picture.body.starts_with(b"\x89PNG"), "{name}: {}", picture.status);
        let as_stored = client.get(&instance, "*/*").await.parts().await.remove(0).1;
        let left_as = syntax(&as_stored);
        assert!(
            !["1.2.840.10008.1.2", "1.2.840.10008.1.2.2"].contains(&left_as.as_str()),
            "{name} left as {left_as}"
        );
        let ohif = client
            .get(
                &format!("{instance}/frames/1"),
                "multipart/related; type=\"application/octet-stream\"; transfer-syntax=\"*\"",
            )
            .await;
        let (content_type, _) = ohif.parts().await.remove(0);
        assert_eq!(
            content_type,
            format!("application/octet-stream; transfer-syntax={left_as}"),
            "{name}"
        );
        frames.push((name, frame));
    }
    assert!(frames.len() > 5);
    let (first, expected) = frames[0].clone();
    for (name, frame) in frames {
        assert!(frame == expected, "{name} and {first}");
    }
}
