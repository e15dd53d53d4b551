//! Ends subscriptions that have expired, and forgets old deliveries, replies and plans.

use onhook_core::time::Timestamp;
use onhook_store::Result;
use onhook_store::contract::once::{REPLIES_MAX, RepliesMax};
use tracing::info;

use crate::app::App;

/// Most subscriptions, deliveries, replies or plans that are ended or forgotten at once.
const TIDY_MAX: usize = 1_000;
/// Most rounds in a row, while there is more.
const TIDY_ROUNDS_MAX: usize = 50;

/// Ends and forgets what is over by now. It does nothing while the clock may be wrong, since neither can be undone.
pub(crate) async fn tidy_all(app: &App) -> Result<()> {
    let Some(now) = app.sure_now() else { return Ok(()) };
    expire_subscriptions(app, now).await?;
    tidy(|| app.store.forget_deliveries(now, TIDY_MAX)).await?;
    let max = RepliesMax { kept: REPLIES_MAX, forgotten: TIDY_MAX };
    tidy(|| app.store.forget_replies(now, max)).await?;
    tidy(|| app.store.forget_plans(now, TIDY_MAX)).await
}

/// Forgets until there is nothing more, for at most [`TIDY_ROUNDS_MAX`] rounds: more may be written in a minute than
/// one round holds.
async fn tidy<F: Future<Output = Result<usize>>>(mut forget: impl FnMut() -> F) -> Result<()> {
    for _ in 0..TIDY_ROUNDS_MAX {
        if forget().await? < TIDY_MAX {
            break;
        }
    }
    Ok(())
}

/// Ends subscriptions that have expired at `now`, within a bound. Returns how many.
pub(crate) async fn expire_subscriptions(app: &App, now: Timestamp) -> Result<usize> {
    let mut all = 0;
    for _ in 0..TIDY_ROUNDS_MAX {
        let ended = app.store.expire_subscriptions(now, TIDY_MAX).await?;
        for (id, account) in &ended {
            info!(
                subscription.id = %id, account = account.get(),
                "a subscription ended: its time (Expiry) is over, and it is told nothing more"
            );
        }
        if let Some(emulator) = &app.emulator {
            emulator.ran.subscriptions.add(ended.len());
        }
        metrics::counter!("onhook_subscriptions_ended_total")
            .increment(u64::try_from(ended.len()).unwrap_or(u64::MAX));
        all += ended.len();
        if ended.len() < TIDY_MAX {
            break;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_forgets_until_there_is_nothing_more_but_not_for_ever() {
        for (found, rounds) in [(vec![3], 1), (vec![TIDY_MAX, TIDY_MAX + 1, 0], 3), (vec![TIDY_MAX; 60], 50)]
        {
            let mut counts = found.into_iter();
            let mut asked = 0;
            let forget = || {
                asked += 1;
                std::future::ready(Ok(counts.next().unwrap()))
            };
            tidy(forget).await.unwrap();
            assert_eq!(asked, rounds);
        }
    }
}
