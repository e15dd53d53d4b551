//! Going back: to what the emulator began with, or to a snapshot.

use std::sync::{Arc, PoisonError};

use onhook_core::time::Timestamp;
use onhook_store::Result;
use onhook_store::contract::transfer::Image;

use crate::app::App;
use crate::demo_data;
use crate::emulator::{Emulator, Snapshot};
use crate::work::moves::Held;

/// How an emulator begins anew.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin {
    /// From what ids and secrets are made.
    pub(crate) seed: Option<u64>,
    /// Where its clock begins. `None` is the system's clock.
    pub(crate) now: Option<Timestamp>,
    /// How fast its clock goes.
    pub(crate) rate: f64,
}

/// Makes everything as it was when the emulator began.
pub(crate) async fn reset(app: &App, emulator: &Emulator, begin: Begin) -> Result<()> {
    let _moving = emulator.moving.lock().await;
    let _turn = emulator.scripts.running().await;
    // Nothing that is put back must be due by the clock of before.
    let _held = Held(app);
    app.clock.hold(begin.now.unwrap_or_else(|| app.clock.wall()));
    let known = emulator.seed.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match known {
        Some(image) => {
            let image = Arc::unwrap_or_clone(image).not_after(app.clock.now());
            put_back((app, emulator), Arc::new(image), begin.seed).await?;
        }
        None => {
            let image = app.store.image().await?.empty();
            put_back((app, emulator), Arc::new(image), begin.seed).await?;
            demo_data::seed(&*app.store, app.clock.now(), app.settings.policy.clone()).await?;
            emulator.begin_with(Arc::new(app.store.image().await?));
        }
    }
    emulator.forget(begin.seed);
    if let Some(mailer) = &app.mailer {
        mailer.forget();
    }
    app.clock.begin(begin.now, begin.rate);
    rang(app).await
}

/// Keeps everything as it is now, to go back to it.
pub(crate) async fn keep(app: &App, emulator: &Emulator, name: &str) -> Result<Snapshot> {
    let _moving = emulator.moving.lock().await;
    let _turn = emulator.scripts.running().await;
    let image = Arc::new(app.store.image().await?);
    Ok(Snapshot { name: name.to_owned(), at: app.clock.now(), rate: app.clock.rate(), image })
}

/// Makes everything as it was when a snapshot was made.
pub(crate) async fn restore(app: &App, emulator: &Emulator, snapshot: Snapshot) -> Result<()> {
    let _moving = emulator.moving.lock().await;
    let _turn = emulator.scripts.running().await;
    let _held = Held(app);
    app.clock.hold(snapshot.at);
    put_back((app, emulator), snapshot.image, None).await?;
    emulator.forget(None);
    if let Some(mailer) = &app.mailer {
        mailer.forget();
    }
    app.clock.begin(Some(snapshot.at), snapshot.rate);
    rang(app).await
}

async fn put_back((app, emulator): (&App, &Emulator), image: Arc<Image>, seed: Option<u64>) -> Result<()> {
    let before = app.store.users().await?;
    app.store.put_back(image, seed).await?;
    emulator.begin_anew();
    for user in before {
        app.auth.forget(&user.name);
    }
    Ok(())
}

/// Lets the workers look, and goes by the settings that were put back.
async fn rang(app: &App) -> Result<()> {
    app.go_by(&app.store.chosen().await?);
    app.under_way.forget();
    app.remember_clock().await?;
    app.sealed.send_modify(|_| {}); // streams look, and end
    app.clock_bell.notify_one();
    app.orders_bell.notify_one();
    app.jobs_bell.send_replace(());
    app.deliveries_bell.notify_one();
    Ok(())
}
