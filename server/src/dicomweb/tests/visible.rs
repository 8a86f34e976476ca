//! Who sees what.

use super::*;

#[actix_web::test]
async fn what_is_not_visible_is_not_there() {
    let world = world().await;
    let admin = client(&world, Some(&world.token)).await;
    let anonymous = client(&world, None).await;
    admin.store("/studies", &phantoms()).await;
    let rows = admin.get("/instances", JSON).await.json();
    let (first, other) = (&rows[0], rows.as_array().unwrap().last().unwrap());
    let study = format!("/studies/{}", text(first, "0020000D"));
    let instance = format!(
        "{study}/series/{}/instances/{}",
        text(first, "0020000E"),
        text(first, "00080018")
    );
    // Not released: the public sees nothing, and cannot tell it from what never was.
    assert_eq!(anonymous.get("/studies", JSON).await.json(), serde_json::json!([]));
    for path in [
        study.clone(),
        format!("{study}/metadata"),
        instance.clone(),
        format!("{instance}/frames/1"),
        format!("{instance}/rendered"),
        format!("{instance}/bulkdata/7FE00010"),
    ] {
        assert_eq!(anonymous.status(&path, "*/*").await, 404, "{path}");
        assert_eq!(admin.status(&path, "*/*").await, 200, "{path}");
        assert_eq!(
            admin.status(&path.replace(&study, "/studies/1.2.3"), "*/*").await,
            404,
            "{path}"
        );
    }
    // The right instance under the wrong study.
    let wrong = format!(
        "/studies/{}/series/{}/instances/{}",
        text(other, "0020000D"),
        text(first, "0020000E"),
        text(first, "00080018")
    );
    assert_eq!(admin.status(&wrong, "*/*").await, 404);
    assert_eq!(admin.status("/studies/1.2.x", "*/*").await, 400);
    assert_eq!(admin.status("/studies/..%2F..%2Fetc", "*/*").await, 400);
    assert_eq!(anonymous.store("/studies", &phantoms()[..1]).await.status.as_u16(), 401);
    let stale = client(&world, Some("iso_stale")).await;
    assert_eq!(stale.status("/studies", JSON).await, 401);
    let researcher = crate::auth::token::create(&world.archive.db, Role::Researcher, None, "", None, "test")
        .await
        .unwrap();
    let researcher = client(&world, Some(&researcher.secret)).await;
    assert_eq!(researcher.get("/studies", JSON).await.json(), serde_json::json!([]));
}
