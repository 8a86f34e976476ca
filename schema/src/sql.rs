//! Statements that are put together: text that we wrote, and values that are always bound.

use sea_orm::{ConnectionTrait, DatabaseExecutor, FromQueryResult, QueryResult, Statement, Value};

use crate::{Kind, Reader, Result};

/// A statement in the making.
#[derive(Debug, Clone)]
pub(crate) struct Sql {
    kind: Kind,
    text: String,
    values: Vec<Value>,
}

impl Sql {
    pub(crate) fn new(kind: Kind, text: &str) -> Self {
        let mut sql = Self {
            kind,
            text: String::with_capacity(512),
            values: Vec::new(),
        };
        sql.text.push_str(text);
        sql
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Adds text of ours. Only literals and names from tables in the code come here, never a value.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a placeholder and its value.
    pub(crate) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        match self.kind {
            Kind::Sqlite => self.text.push('?'),
            Kind::Postgres => {
                self.text.push('$');
                self.text.push_str(&self.values.len().to_string());
            }
        }
        self
    }

    /// Adds placeholders in brackets, `(?, ?, ?)`; for no value `(NULL)`, which contains nothing.
    pub(crate) fn bind_list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> &mut Self {
        self.push("(");
        let mut first = true;
        for value in values {
            if !first {
                self.push(", ");
            }
            first = false;
            self.bind(value);
        }
        if first {
            self.push("NULL");
        }
        self.push(")")
    }

    fn statement(self) -> Statement {
        Statement::from_sql_and_values(self.kind.backend(), self.text, self.values)
    }

    /// Runs it and returns the number of rows changed.
    pub(crate) async fn execute(self, db: &impl Reader) -> Result<u64> {
        let executor: DatabaseExecutor<'_> = db.executor();
        Ok(executor.execute_raw(self.statement()).await?.rows_affected())
    }

    /// Runs it and returns all rows.
    pub(crate) async fn rows(self, db: &impl Reader) -> Result<Vec<QueryResult>> {
        let executor: DatabaseExecutor<'_> = db.executor();
        Ok(executor.query_all_raw(self.statement()).await?)
    }

    /// Runs it and returns all rows as structures.
    pub(crate) async fn all<T: FromQueryResult>(self, db: &impl Reader) -> Result<Vec<T>> {
        let rows = self.rows(db).await?;
        rows.iter().map(|row| Ok(T::from_query_result(row, "")?)).collect()
    }

    /// Runs it and returns the first row.
    pub(crate) async fn one<T: FromQueryResult>(self, db: &impl Reader) -> Result<Option<T>> {
        let executor: DatabaseExecutor<'_> = db.executor();
        let row = executor.query_one_raw(self.statement()).await?;
        row.map(|row| Ok(T::from_query_result(&row, "")?)).transpose()
    }

    /// Runs it and returns the first column of the first row.
    pub(crate) async fn value<T: sea_orm::TryGetable>(self, db: &impl Reader) -> Result<Option<T>> {
        let executor: DatabaseExecutor<'_> = db.executor();
        let row = executor.query_one_raw(self.statement()).await?;
        row.map(|row| Ok(row.try_get_by_index(0)?)).transpose()
    }
}
