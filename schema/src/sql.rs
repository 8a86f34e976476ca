//! Statements that are put together: text that we wrote, and values that are always bound.

use sea_orm::{
    ConnectionTrait, DatabaseExecutor, EntityTrait, FromQueryResult, QueryResult, Statement, StatementBuilder, Value,
};

use crate::{Kind, Reader, Result, Transaction};

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

/// Statements whose answers nobody waits for, kept until the end of a transaction and run together.
///
/// Every statement is a message to the engine and back. SQLite takes several in one text, with the values of all one after
/// the other, so that a commit group of any kind is one message; PostgreSQL takes one at a time.
pub(crate) struct Batch {
    kind: Kind,
    statements: Vec<Statement>,
}

/// Longer texts are cut in two: the engine compiles them, and remembers what it compiled.
const LONGEST_TEXT: usize = 256 << 10;

impl Batch {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            statements: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, sql: Sql) {
        self.statements.push(sql.statement());
    }

    /// Adds a statement of the query builder.
    pub(crate) fn build(&mut self, statement: &impl StatementBuilder) {
        self.statements.push(self.kind.backend().build(statement));
    }

    /// Adds an insert of rows, if there are any.
    pub(crate) fn insert<E: EntityTrait>(&mut self, rows: Vec<E::ActiveModel>) {
        if !rows.is_empty() {
            self.build(&sea_orm::QueryTrait::into_query(E::insert_many(rows)));
        }
    }

    /// Runs everything, in the order in which it was added.
    pub(crate) async fn run(self, tx: &Transaction) -> Result<()> {
        let executor = tx.executor();
        let mut text = String::new();
        let mut values = Vec::new();
        for statement in self.statements {
            if self.kind == Kind::Postgres {
                executor.execute_raw(statement).await?;
                continue;
            }
            if text.len() + statement.sql.len() > LONGEST_TEXT && !text.is_empty() {
                let whole = (std::mem::take(&mut text), std::mem::take(&mut values));
                executor
                    .execute_raw(Statement::from_sql_and_values(self.kind.backend(), whole.0, whole.1))
                    .await?;
            }
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(&statement.sql);
            values.extend(statement.values.into_iter().flat_map(|values| values.0));
        }
        if !text.is_empty() {
            executor
                .execute_raw(Statement::from_sql_and_values(self.kind.backend(), text, values))
                .await?;
        }
        Ok(())
    }
}
