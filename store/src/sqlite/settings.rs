//! What an operator has set while the server runs.

use async_trait::async_trait;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::setting::Changes;
use onhook_core::time::Timestamp;
use rusqlite::Connection;

use super::deeds::write_deeds;
use super::open::SqliteStore;
use super::tables::Tables;
use crate::Result;
use crate::contract::settings::{Chosen, Settings};
use crate::plan::deeds;

/// Returns what has been set, by name.
pub(super) fn chosen(connection: &Connection) -> Result<Vec<Chosen>> {
    let sql = "SELECT name, value, at, author FROM chosen ORDER BY name";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (name, value): (String, String) = (row.get(0)?, row.get(1)?);
        let Ok(setting) = name.parse() else { continue };
        let (value, at) = (serde_json::from_str(&value)?, Timestamp::from_millis(row.get(2)?));
        found.push(Chosen { setting, value, at, by: row.get(3)? });
    }
    Ok(found)
}

fn change_settings(tables: &mut Tables<'_>, changes: &Changes, doer: &Doer) -> Result<()> {
    let before = chosen(tables.connection)?;
    write_deeds(tables, &[deeds::settings_changed(&before, changes, doer)])?;
    let at = tables.cached.now(doer.now);
    for (setting, value) in changes {
        match value {
            None => tables
                .connection
                .prepare_cached("DELETE FROM chosen WHERE name = ?")?
                .execute([setting.word()])?,
            Some(value) => tables
                .connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO chosen (name, value, at, author) VALUES (?, ?, ?, ?)",
                )?
                .execute((setting.word(), value.to_string(), at.millis(), &doer.author.user))?,
        };
    }
    Ok(())
}

#[async_trait]
impl Settings for SqliteStore {
    async fn chosen(&self) -> Result<Vec<Chosen>> {
        self.readers.read(chosen).await
    }

    async fn change_settings(&self, changes: Changes, doer: Doer) -> Result<()> {
        self.writer.write(move |tables| change_settings(tables, &changes, &doer)).await
    }
}
