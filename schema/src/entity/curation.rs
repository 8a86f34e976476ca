//! What people look at and decide: quarantine, findings, submissions.

/// An object that waits outside the archive.
pub(crate) mod quarantine_item {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "quarantine_item")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        #[sea_orm(unique_key = "content")]
        pub collection_id: i64,
        #[sea_orm(unique_key = "content")]
        pub content_digest: Vec<u8>,
        #[sea_orm(unique_key = "content")]
        pub sent_digest: Vec<u8>,
        pub individual: Option<Vec<u8>>,
        /// code of the first finding
        #[sea_orm(column_type = "Text")]
        pub check_code: String,
        /// `waiting`, `released`, `repaired` or `discarded`
        #[sea_orm(column_type = "Text")]
        pub state: String,
        #[sea_orm(column_type = "Text")]
        pub sop_class_uid: String,
        #[sea_orm(column_type = "Text")]
        pub transfer_syntax_uid: String,
        #[sea_orm(indexed)]
        pub pack: Vec<u8>,
        pub reference: Vec<u8>,
        pub bytes: i64,
        pub provenance_id: i64,
        pub received_at: i64,
        pub decided_at: Option<i64>,
        #[sea_orm(column_type = "Text")]
        pub decided_by: String,
        #[sea_orm(column_type = "Text")]
        pub comment: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(
            belongs_to = "super::super::archive::collection::Entity",
            from = "Column::CollectionId",
            to = "super::super::archive::collection::Column::Id"
        )]
        Collection,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// What a check found about an image or a quarantined object.
pub(crate) mod finding {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "finding")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub collection_id: i64,
        #[sea_orm(indexed)]
        pub image_id: Option<i64>,
        #[sea_orm(indexed)]
        pub series_id: Option<i64>,
        #[sea_orm(indexed)]
        pub quarantine_id: Option<i64>,
        #[sea_orm(column_type = "Text")]
        pub check_code: String,
        #[sea_orm(column_type = "Text")]
        pub severity: String,
        #[sea_orm(column_type = "Text")]
        pub detail: String,
        /// `open`, `waived` or `resolved`
        #[sea_orm(column_type = "Text")]
        pub state: String,
        #[sea_orm(column_type = "Text")]
        pub decided_by: String,
        pub created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// A submission to a collection.
pub(crate) mod submission {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "submission")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        #[sea_orm(indexed)]
        pub collection_id: i64,
        #[sea_orm(column_type = "Text")]
        pub title: String,
        /// public id of the token or user that submits
        #[sea_orm(column_type = "Text", indexed)]
        pub submitter: String,
        #[sea_orm(column_type = "Text")]
        pub state: String,
        #[sea_orm(column_type = "Text")]
        pub note: String,
        pub created_at: i64,
        pub updated_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(
            belongs_to = "super::super::archive::collection::Entity",
            from = "Column::CollectionId",
            to = "super::super::archive::collection::Column::Id"
        )]
        Collection,
    }
    impl ActiveModelBehavior for ActiveModel {}
}
