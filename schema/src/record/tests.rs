use super::*;

/// A collection and a release as the program wrote them that knew version 1 only.
const COLLECTION_1: &str = "0102084f4249413030303705436865737405626173696300020008484f53504954414c050505050505050505050505050505050002000001054348455354008080f28183898506";
const RELEASE_1: &str = "0103084f42494130303037000100038080f28183898506";

fn release() -> Record {
    Record::Release(Box::new(ReleaseRecord {
        collection: CollectionAccession::numbered("OBIA", 7),
        scope: Scope::Collection,
        from: vec![ImageState::Pending],
        to: ImageState::Released,
        at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
    }))
}

fn collection() -> Record {
    Record::Collection(Box::new(CollectionRecord {
        accession: CollectionAccession::numbered("OBIA", 7),
        title: "Chest".to_owned(),
        profile: "basic".to_owned(),
        release: ReleaseRule::Manual,
        access: Access::Controlled,
        originals: Originals::None,
        issuer: "HOSPITAL".to_owned(),
        collection_key_id: CollectionKeyId::from_bytes([5; 16]),
        attested: None,
        lifecycle: Lifecycle::Released,
        embargo_until: None,
        allowed_sop_classes: Vec::new(),
        routes: vec![RouteRecord {
            ae_title: "CHEST".to_owned(),
            issuer: String::new(),
        }],
        created_at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
    }))
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

#[test]
fn what_version_1_wrote_is_read() {
    assert_eq!(Record::decode(&bytes(COLLECTION_1)).unwrap(), collection());
    assert_eq!(Record::decode(&bytes(RELEASE_1)).unwrap(), release());
}

#[test]
fn a_profile_reads_back_and_a_version_of_tomorrow_is_refused() {
    let record = Record::Profile(Box::new(ProfileRecord {
        collection: CollectionAccession::numbered("OBIA", 7),
        sealed: vec![1, 2, 3],
    }));
    let mut encoded = record.encode().unwrap();
    assert_eq!(Record::decode(&encoded).unwrap(), record);
    encoded[0] = VERSION + 1;
    assert!(matches!(Record::decode(&encoded), Err(Error::Record(_))));
    encoded[0] = 0;
    assert!(matches!(Record::decode(&encoded), Err(Error::Record(_))));
}
