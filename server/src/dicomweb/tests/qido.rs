//! Search: parameters and rows.

use super::*;

#[actix_web::test]
async fn searches_are_strict_and_rows_complete() {
    let world = world().await;
    let client = client(&world, Some(&world.token)).await;
    assert_eq!(client.get("/studies", JSON).await.json(), serde_json::json!([]));
    client.store("/studies", &phantoms()).await;
    let count = async |path: &str| client.get(path, "*/*").await.json().as_array().unwrap().len();
    let studies = client
        .get(
            "/studies?includefield=00081030%2C00080060&limit=101&offset=0&fuzzymatching=true",
            JSON,
        )
        .await;
    let rows = studies.json();
    let total = rows.as_array().unwrap().len();
    assert!(total >= 2);
    let study = text(&rows[0], "0020000D");
    assert_eq!(count(&format!("/studies?StudyInstanceUID={study}")).await, 1);
    assert_eq!(count(&format!("/studies?0020000d={study}%2C1.2.3")).await, 1);
    assert_eq!(count("/studies?ModalitiesInStudy=CT").await, 1);
    assert_eq!(count("/studies?PatientName=").await, total);
    assert_eq!(count("/studies?limit=1").await, 1);
    assert_eq!(count("/studies?limit=0").await, 0);
    assert_eq!(count("/studies?offset=1000").await, 0);
    assert_eq!(count("/studies?PatientID=%25").await, 0);
    assert_eq!(
        count(&format!("/studies/{study}/series")).await as u64,
        value(&rows[0], "00201206").as_u64().unwrap()
    );
    assert_eq!(
        count(&format!("/studies/{study}/instances")).await as u64,
        value(&rows[0], "00201208").as_u64().unwrap()
    );
    assert_eq!(count("/studies/1.2.3/series").await, 0);
    let all_series = client.get("/series?Modality=CT", JSON).await.json();
    for tag in ["0020000D", "00100020", "0020000E", "00080060", "00201209", "00081190"] {
        assert!(all_series[0].get(tag).is_some(), "{tag}");
    }
    for bad in [
        "/studies?PatientIDD=1",
        "/studies?limit=abc",
        "/studies?StudyDate=20240230",
        "/studies?Modality=CT",
    ] {
        let answer = client.get(bad, JSON).await;
        assert_eq!(answer.status.as_u16(), 400, "{bad}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    assert_eq!(client.status("/studies", "application/dicom+xml").await, 406);
    let one = client.get("/instances?limit=1", JSON).await.json();
    for tag in ["00080016", "00080018", "00280010", "00280011", "00080056"] {
        assert!(one[0][tag].get("Value").is_some(), "{tag} in {one}");
    }
    assert!(one[0].get("00280101").is_none());
    // What was not cut for rows comes from the metadata record, and only what is asked for.
    let more = client
        .get("/instances?Modality=CT&includefield=BitsStored,00280102", JSON)
        .await
        .json();
    assert_eq!(more.as_array().unwrap().len(), 3);
    for row in more.as_array().unwrap() {
        let path = format!(
            "/studies/{}/series/{}/instances/{}/metadata",
            text(row, "0020000D"),
            text(row, "0020000E"),
            text(row, "00080018")
        );
        let record = client.get(&path, JSON).await.json();
        for tag in ["00280101", "00280102"] {
            assert!(record[0][tag].get("Value").is_some(), "{tag} in {record}");
            assert_eq!(row[tag], record[0][tag]);
        }
        assert!(row.get("00280103").is_none() && row.get("7FE00010").is_none());
    }
    let all = client.get("/instances?limit=1&includefield=all", JSON).await.json();
    assert!(
        all[0].get("00280103").is_some() && all[0].get("7FE00010").is_none(),
        "{all}"
    );
}
