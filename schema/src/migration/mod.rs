//! Migrations. The first makes the tables from the entities; later ones are written out by hand, so that they do not
//! change when an entity does.

use sea_orm_migration::{MigrationTrait, MigratorTrait};

mod m0001_first;
mod m0002_own_profile;

/// Every migration, in order.
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_first::First), Box::new(m0002_own_profile::OwnProfile)]
    }
}
