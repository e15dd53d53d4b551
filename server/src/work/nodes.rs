//! Compares the settings by which this node goes with those of the other nodes on its database. It tells once by which ones
//! they differ, and again when that changes, and shows it in a gauge.

use std::collections::BTreeMap;
use std::sync::Arc;

use onhook_core::audit::digest::Digest;
use onhook_core::setting::{GoesBy, Setting, differing};
use onhook_store::Result;
use onhook_store::contract::nodes::Node;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app::App;
use crate::settings::Settings;
use crate::store_log;

/// Most bytes of a value that others are shown. Of a longer one they get the digest.
const VALUE_MAX: usize = 100;

/// What was told of each other node that differs, by its id: its name, and by what.
type Told = BTreeMap<String, (String, String)>;

pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let drawn = getrandom::u64().unwrap_or_else(|_| std::process::id().into());
    let node = Node { id: format!("{drawn:016x}"), name: name(&app), goes_by: goes_by(&app.settings) };
    // One of this name was killed, and is this node before.
    if let Err(error) = app.store.forget_node(&node.name).await {
        store_log::failed("what another node has noted could not be forgotten", &error);
    }
    let mut told = Told::new();
    while !stop.is_cancelled() {
        if let Err(error) = look(&app, &node, &mut told).await {
            store_log::failed("the settings of other nodes could not be read", &error);
        }
        stop.run_until_cancelled(tokio::time::sleep(app.settings.lease / 3)).await;
    }
    if let Err(error) = app.store.forget_node(&node.name).await {
        store_log::failed("this node's note could not be removed, and runs out by itself", &error);
    }
}

/// Returns by what an operator knows this node: its machine, and where it listens.
fn name(app: &App) -> String {
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    app.settings.callbacks.own.map_or(machine.clone(), |address| format!("{machine} {address}"))
}

/// Returns the settings given at start on which answers and decisions depend. None of them is a secret.
fn goes_by(settings: &Settings) -> GoesBy {
    let (policy, vendor, callbacks) = (&settings.policy, &settings.vendor, &settings.callbacks);
    let given = [
        ("time_zone", json!(policy.zone_name())),
        ("profiles", json!(policy.profiles())),
        ("public_url", json!(settings.public_url)),
        ("search_vendor_id", json!(vendor.id)),
        ("search_vendor_name", json!(vendor.name)),
        ("search_tier", json!(vendor.tier)),
        ("callback_allow", json!(callbacks.allow)),
        ("callback_ports", json!(callbacks.ports)),
        ("callback_http", json!(callbacks.http)),
        ("smtp_from", json!(settings.mail.as_ref().map(|mail| &mail.from))),
    ];
    let values = settings.values(&[]);
    let fixed = Setting::ALL.iter().map(|setting| {
        let is_fixed = settings.configured.contains_key(setting);
        (setting.word(), if is_fixed { values.get(*setting) } else { Value::Null })
    });
    given.into_iter().chain(fixed).map(|(name, value)| (name.to_owned(), short(value))).collect()
}

/// Returns a value, or the digest of one that is too long to be shown.
fn short(value: Value) -> Value {
    let text = value.to_string();
    if text.len() > VALUE_MAX { json!(Digest::of(text).to_string()) } else { value }
}

/// Notes this node, and tells what is new since `told` of the others.
async fn look(app: &App, node: &Node, told: &mut Told) -> Result<()> {
    let others = app.store.note_node(node, app.settings.lease).await?;
    tell(node, &others, told);
    Ok(())
}

/// Logs by what other nodes differ, if that is new, and sets the gauge.
fn tell(node: &Node, others: &[Node], told: &mut Told) {
    let mut found = Told::new();
    for other in others {
        let names = differing(&node.goes_by, &other.goes_by);
        if !names.is_empty() {
            let shown = |of: &Node, name: &str| match &of.goes_by[name] {
                Value::Null => "not set".to_owned(),
                value => value.to_string(),
            };
            let by = names
                .iter()
                .map(|name| format!("{name} ({} here, {} there)", shown(node, name), shown(other, name)));
            found.insert(other.id.clone(), (other.name.clone(), by.collect::<Vec<_>>().join(", ")));
        }
    }
    for (id, (name, by)) in &found {
        if told.get(id).is_none_or(|(_, before)| before != by) {
            warn!(
                node = name,
                "the node {name} goes by other settings than this one: {by}. What it decides and answers may differ. Start \
                 all nodes with the same settings"
            );
        }
    }
    for (_, (name, _)) in told.iter().filter(|(id, _)| !found.contains_key(*id)) {
        info!(node = name, "the node {name} is gone, or goes by the same settings as this one now");
    }
    metrics::gauge!("onhook_settings_differ").set(if found.is_empty() { 0.0 } else { 1.0 });
    *told = found;
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use onhook_core::lifecycle::policy::{Policy, Profile};

    use super::*;
    use crate::settings::Source;
    use crate::work::logged;

    fn node(id: &str, settings: &Settings) -> Node {
        Node { id: id.to_owned(), name: format!("machine {id}"), goes_by: goes_by(settings) }
    }

    #[test]
    fn another_node_s_settings_are_told_once_again_when_they_change_and_when_they_are_the_same_again() {
        let zone = Settings {
            policy: Arc::new(Policy::new(Vec::new(), "Pacific/Honolulu").unwrap()),
            ..Settings::default()
        };
        let configured = BTreeMap::from([(Setting::RateLimit, Source::File)]);
        let more = Settings { configured, rate_limit: NonZeroU32::new(1_000), ..zone.clone() };
        let (own, same) = (node("a", &Settings::default()), node("b", &Settings::default()));
        let (one, two) = (node("c", &zone), node("c", &more));

        let log = logged(|| {
            let mut told = Told::new();
            for others in [&[same.clone()][..], &[same.clone(), one.clone()], &[one], &[two], &[same], &[]] {
                tell(&own, others, &mut told);
            }
        });
        let lines: Vec<&str> = log.lines().map(str::trim).collect();
        let zones = r#"time_zone ("UTC" here, "Pacific/Honolulu" there)"#;
        assert!(
            matches!(&lines[..], [one, two, gone]
                if one.starts_with("WARN") && one.contains(&format!("the node machine c goes by other settings than this one: {zones}. "))
                    && two.starts_with("WARN") && two.contains(&format!("rate_limit (not set here, 1000 there), {zones}. "))
                    && gone.starts_with("INFO") && gone.contains("the node machine c is gone")),
            "{log}"
        );
    }

    #[test]
    fn profiles_are_compared_by_their_digest() {
        let own = Profile { max_days: 400, ..Profile::built_in()[0].clone() };
        let other =
            Settings { policy: Arc::new(Policy::new(vec![own], "UTC").unwrap()), ..Settings::default() };
        let (one, other) = (goes_by(&Settings::default()), goes_by(&other));
        assert_eq!(differing(&one, &other), ["profiles"]);
        assert!(one["profiles"].as_str().is_some_and(|text| text.starts_with("sha256:")), "{one:?}");
    }
}
