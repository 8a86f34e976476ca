//! What the archive holds: collections, individuals, studies, series, images.

/// A collection.
pub(crate) mod collection {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "collection")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        #[sea_orm(column_type = "Text", unique)]
        pub accession: String,
        #[sea_orm(column_type = "Text")]
        pub title: String,
        #[sea_orm(column_type = "Text")]
        pub profile: String,
        /// `manual` or `automatic`
        #[sea_orm(column_type = "Text")]
        pub release: String,
        /// `open`, `registered` or `controlled`
        #[sea_orm(column_type = "Text")]
        pub access: String,
        /// days to keep the object as received: 0 is not at all, -1 until release
        pub originals: i32,
        #[sea_orm(column_type = "Text")]
        pub issuer: String,
        pub collection_key_id: Vec<u8>,
        /// who attested that the data are de-identified already; empty for nobody
        #[sea_orm(column_type = "Text")]
        pub attested: String,
        /// `draft`, `announced`, `released` or `withdrawn`
        #[sea_orm(column_type = "Text")]
        pub lifecycle: String,
        pub embargo_until: Option<i64>,
        /// JSON list of UIDs
        #[sea_orm(column_type = "Text")]
        pub allowed_sop_classes: String,
        pub created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// Where a called AE title leads.
pub(crate) mod route {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "route")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub ae_title: String,
        #[sea_orm(indexed)]
        pub collection_id: i64,
        #[sea_orm(column_type = "Text")]
        pub issuer: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(
            belongs_to = "super::collection::Entity",
            from = "Column::CollectionId",
            to = "super::collection::Column::Id"
        )]
        Collection,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// An individual: the archive's de-identified subject.
pub(crate) mod individual {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "individual")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        #[sea_orm(column_type = "Text")]
        pub accession: String,
        #[sea_orm(unique_key = "pseudonym")]
        pub collection_id: i64,
        #[sea_orm(unique_key = "pseudonym")]
        pub pseudonym: Vec<u8>,
        pub key_id: Vec<u8>,
        #[sea_orm(column_type = "Text", indexed)]
        pub patient_id: String,
        #[sea_orm(column_type = "Text")]
        pub patient_name: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub patient_name_folded: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub patient_name_ideographic: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub patient_name_phonetic: String,
        #[sea_orm(column_type = "Text")]
        pub patient_name_parts: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub patient_birth_date: String,
        #[sea_orm(column_type = "Text")]
        pub patient_sex: String,
        /// set by erasure: the row stays as a block
        pub erased_at: Option<i64>,
        pub received_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(
            belongs_to = "super::collection::Entity",
            from = "Column::CollectionId",
            to = "super::collection::Column::Id"
        )]
        Collection,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// A study.
pub(crate) mod study {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "study")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        #[sea_orm(column_type = "Text")]
        pub accession: String,
        pub collection_id: i64,
        #[sea_orm(indexed)]
        pub individual_id: i64,
        #[sea_orm(column_type = "Text")]
        pub study_instance_uid: String,
        #[sea_orm(column_type = "Text")]
        pub study_date: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub study_time: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub accession_number: String,
        #[sea_orm(column_type = "Text")]
        pub referring_physician_name: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub referring_physician_name_folded: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub referring_physician_name_ideographic: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub referring_physician_name_phonetic: String,
        #[sea_orm(column_type = "Text")]
        pub referring_physician_name_parts: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub study_description: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub patient_id: String,
        #[sea_orm(column_type = "Text")]
        pub patient_name: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub patient_name_folded: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub patient_name_ideographic: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub patient_name_phonetic: String,
        #[sea_orm(column_type = "Text")]
        pub patient_name_parts: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub patient_birth_date: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub patient_sex: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub study_id: String,
        pub images_released: i64,
        pub images_awaiting: i64,
        pub received_at: i64,
        #[sea_orm(column_type = "Text")]
        pub attributes: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(
            belongs_to = "super::individual::Entity",
            from = "Column::IndividualId",
            to = "super::individual::Column::Id"
        )]
        Individual,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// A series.
pub(crate) mod series {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "series")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        #[sea_orm(column_type = "Text")]
        pub accession: String,
        pub collection_id: i64,
        pub study_id: i64,
        #[sea_orm(column_type = "Text")]
        pub series_instance_uid: String,
        #[sea_orm(column_type = "Text")]
        pub modality: String,
        #[sea_orm(indexed)]
        pub series_number: Option<i64>,
        #[sea_orm(column_type = "Text", indexed)]
        pub series_description: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub body_part_examined: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub protocol_name: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub manufacturer: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub manufacturer_model_name: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub performed_procedure_step_start_date: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub performed_procedure_step_start_time: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub scheduled_procedure_step_id: String,
        #[sea_orm(column_type = "Text", indexed)]
        pub requested_procedure_id: String,
        pub images_released: i64,
        pub images_awaiting: i64,
        pub received_at: i64,
        #[sea_orm(column_type = "Text")]
        pub attributes: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(
            belongs_to = "super::study::Entity",
            from = "Column::StudyId",
            to = "super::study::Column::Id"
        )]
        Study,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// An image: what searches match on. Kept narrow; what reading needs is in `blob` and `image_metadata`.
pub(crate) mod image {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "image")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        #[sea_orm(column_type = "Text")]
        pub accession: String,
        pub collection_id: i64,
        pub study_id: i64,
        pub series_id: i64,
        pub state: i16,
        #[sea_orm(column_type = "Text")]
        pub sop_instance_uid: String,
        #[sea_orm(column_type = "Text")]
        pub sop_class_uid: String,
        #[sea_orm(column_type = "Text")]
        pub transfer_syntax_uid: String,
        pub instance_number: Option<i64>,
        pub number_of_frames: Option<i64>,
        pub rows: Option<i64>,
        pub columns: Option<i64>,
        pub bits_allocated: Option<i64>,
        pub sent_digest: Vec<u8>,
        pub received_at: i64,
        /// when it got the state that it has
        pub changed_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(
            belongs_to = "super::series::Entity",
            from = "Column::SeriesId",
            to = "super::series::Column::Id"
        )]
        Series,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Where an image's bytes lie, and the map of its frames.
pub(crate) mod blob {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "blob")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub image_id: i64,
        #[sea_orm(indexed)]
        pub pack: Vec<u8>,
        /// version byte and postcard of the `BlobRef`; storage alone reads it
        pub reference: Vec<u8>,
        pub bytes: i64,
        pub header_len: i64,
        pub content_digest: Vec<u8>,
        pub pixel_digest: Vec<u8>,
        pub frame_map: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(
            belongs_to = "super::image::Entity",
            from = "Column::ImageId",
            to = "super::image::Column::Id"
        )]
        Image,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// An image's ready-made metadata, and the ids of the texts that it shares with others.
pub(crate) mod image_metadata {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "image_metadata")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub image_id: i64,
        pub deid_report_id: i64,
        pub provenance_id: i64,
        #[sea_orm(column_type = "Text")]
        pub attributes: String,
        pub record: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(
            belongs_to = "super::image::Entity",
            from = "Column::ImageId",
            to = "super::image::Column::Id"
        )]
        Image,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// A text that many images share: a de-identification report.
pub(crate) mod deid_report {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "deid_report")]
    pub(crate) struct Model {
        /// 63 bits of the text's SHA-256
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        #[sea_orm(column_type = "Text")]
        pub body: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// A text that many images share: where they came from.
pub(crate) mod provenance {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "provenance")]
    pub(crate) struct Model {
        /// 63 bits of the text's SHA-256
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        #[sea_orm(column_type = "Text")]
        pub body: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// A hash code of one frame, by one model.
pub(crate) mod hash_code {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "hash_code")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub image_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub frame: i64,
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub model: String,
        pub collection_id: i64,
        /// 64 bits, cast
        pub code: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(
            belongs_to = "super::image::Entity",
            from = "Column::ImageId",
            to = "super::image::Column::Id"
        )]
        Image,
    }
    impl ActiveModelBehavior for ActiveModel {}
}
