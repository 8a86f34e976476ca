//! Who may: users, tokens, grants.

/// A person with a password.
pub(crate) mod user {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "account")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub id: String,
        #[sea_orm(column_type = "Text", unique)]
        pub name: String,
        /// argon2id in its own text form
        #[sea_orm(column_type = "Text")]
        pub password_hash: String,
        #[sea_orm(column_type = "Text")]
        pub role: String,
        /// JSON list of accessions; NULL is every collection
        #[sea_orm(column_type = "Text", nullable)]
        pub collections: Option<String>,
        pub created_at: i64,
        pub disabled_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// A bearer token, a session or a one-time link.
pub(crate) mod token {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "token")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub id: String,
        /// SHA-256 of the secret, which is 256 random bits and needs no slow hash
        #[sea_orm(unique)]
        pub secret_hash: Vec<u8>,
        /// `bearer`, `session` or `link`
        #[sea_orm(column_type = "Text")]
        pub kind: String,
        /// the principal that a session or link stands for; empty for the token itself
        #[sea_orm(column_type = "Text", indexed)]
        pub principal: String,
        #[sea_orm(column_type = "Text")]
        pub role: String,
        /// JSON list of accessions; NULL is every collection
        #[sea_orm(column_type = "Text", nullable)]
        pub collections: Option<String>,
        #[sea_orm(column_type = "Text")]
        pub label: String,
        #[sea_orm(column_type = "Text")]
        pub issuer: String,
        pub created_at: i64,
        pub expires_at: Option<i64>,
        pub revoked_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// A collection opened to a principal.
pub(crate) mod access_grant {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "access_grant")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub principal: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub collection_id: i64,
        #[sea_orm(column_type = "Text")]
        pub granted_by: String,
        pub granted_at: i64,
        pub expires_at: Option<i64>,
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
