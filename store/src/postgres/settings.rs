//! What an operator has set while the server runs.

use super::client::Client;
use async_trait::async_trait;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::setting::Changes;

use super::deeds::write_deeds;
use super::open::PostgresStore;
use super::row::{get, time};
use super::statement::{Value, execute, rows};
use super::transaction::{reading, transaction};
use crate::Result;
use crate::contract::settings::{Chosen, Settings};
use crate::plan::deeds;

/// Returns what has been set, by name.
pub(super) async fn chosen(client: &Client) -> Result<Vec<Chosen>> {
    let sql = "SELECT name, value, at, author FROM chosen ORDER BY name";
    let mut found = Vec::new();
    for row in &rows(client, sql, &[]).await? {
        let Ok(setting) = get::<&str>(row, 0)?.parse() else { continue };
        let value = serde_json::from_str(get(row, 1)?)?;
        found.push(Chosen { setting, value, at: time(row, 2)?, by: get(row, 3)? });
    }
    Ok(found)
}

async fn change_settings(client: &Client, changes: &Changes, doer: &Doer) -> Result<()> {
    // One change at a time, so that what one of them shows as before is what was.
    execute(client, "SELECT 1 FROM counter WHERE name = 'settings' FOR UPDATE", &[]).await?;
    let before = chosen(client).await?;
    write_deeds(client, &[deeds::settings_changed(&before, changes, doer)]).await?;
    for (setting, value) in changes {
        match value {
            None => execute(client, "DELETE FROM chosen WHERE name = $1", &[&setting.word()]).await?,
            Some(value) => {
                let sql = "INSERT INTO chosen (name, value, at, author) VALUES ($1, $2, $3, $4)
                           ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = excluded.at,
                                                            author = excluded.author";
                let (name, value, at) = (setting.word(), value.to_string(), doer.now.millis());
                let values: [&dyn Value; 4] = [&name, &value, &at, &doer.author.user];
                execute(client, sql, &values).await?
            }
        };
    }
    Ok(())
}

#[async_trait]
impl Settings for PostgresStore {
    async fn chosen(&self) -> Result<Vec<Chosen>> {
        reading!(self, client => chosen(&client).await)
    }

    async fn change_settings(&self, changes: Changes, doer: Doer) -> Result<()> {
        transaction!(self, tx => change_settings(&tx, &changes, &doer).await)
    }
}
