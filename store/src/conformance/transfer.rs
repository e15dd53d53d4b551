//! Moving everything from store to store.

use onhook_core::account::user::Rights;
use std::sync::{Arc, Mutex};

use onhook_core::account::Role;
use onhook_core::account::application::{Details, NewApplication, Service};
use onhook_core::clock::Seen;
use onhook_core::ids::{OrderId, ReservationId, SiteId};
use onhook_core::import::{Intake, NewNumber};
use onhook_core::job;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::locality::Exchange;
use onhook_core::notify::notification::{Next, Outcome};
use onhook_core::notify::subscription::{Digest, Email, NewSubscription, Receiver, Subscription};
use onhook_core::number::Number;
use onhook_core::order::act::Act;
use onhook_core::order::{IdempotencyKey, Kind, NewOrder, Status};
use onhook_core::report::ReportKind;
use onhook_core::reservation::Reservation;
use onhook_core::setting::{Changes, Setting};
use onhook_core::time::DAY_MS;
use serde_json::json;
use tokio::sync::Notify;

use super::fixtures::{
    DISCONNECTS, account, activate, at, attempt, clean, disconnect, doer, due, in_service, lines, log,
    node_lease, note, number, order, policy, release, run_all, search, seed, state, subscribe, subscription,
};
use crate::Store;
use crate::audit::seal_all;
use crate::conformance::Opener;
use crate::contract::acts::{Acted, Asked, Undone};
use crate::contract::jobs::{JobId, NewJob, Noted};
use crate::contract::once::{Once, Reply};
use crate::contract::premises::Removed;
use crate::contract::reports::{Marking, Report};
use crate::contract::reservations::Reserved;
use crate::contract::transfer::TABLES;
use crate::contract::upkeep::{Progress, Watch};
use crate::contract::users::NewUser;
use crate::transfer::{Equal, TransferError, apart, compare, copy, end};

/// What is looked for after each move.
pub(super) struct Filled {
    site: SiteId,
    removed: SiteId,
    subscription: Subscription,
    with_key: (Arc<NewOrder>, OrderId),
    partial: OrderId,
    waits: OrderId,
    reservation: Reservation,
    token_key: [u8; 32],
    /// The import that has not ended.
    file: JobId,
}

/// Returns the n-th number of an area code without exchanges.
fn of_area(npa: u64, n: u64) -> Number {
    Number::from_digits(10_000_000_000 + npa * 10_000_000 + 5_550_100 + n).expect("valid")
}

fn nobody() -> Watch {
    Arc::new(|_| {})
}

/// Writes rows of every kind to a new store.
pub(super) async fn fill(store: &dyn Store) -> Filled {
    let (site, _) = seed(store).await;
    let exchange = Exchange {
        npa_nxx: 919_555,
        region: "NC".into(),
        rate_center: "RALEIGH".into(),
        name: "Raleigh".into(),
        lata: Some("426".into()),
        city: None,
        zips: vec!["27601".into(), "27602".into()],
    };
    let exchanges = Box::new((1..).zip([Ok(exchange)]));
    store.import_exchanges(exchanges, doer(0)).await.expect("imported");
    let named = NewNumber {
        region: Some("VA".into()),
        rate_center: Some("ROANOKE".into()),
        ..NewNumber::available(number(50))
    };
    let elsewhere = NewNumber::available(of_area(703, 99));
    store
        .import(lines(vec![named, elsewhere]), Intake::of("second"), at(0), policy())
        .await
        .expect("imported");
    let application =
        NewApplication { service: Service::Voice, name: "App".into(), details: Details::default() };
    let application = store.add_application(account(1), application).await.expect("made");
    let peer = store.peers_in_full(account(1), site, None).await.expect("read").remove(0).0;
    store.name_application(account(1), peer.id, Service::Voice, Some(application.id)).await.expect("tried");
    for (name, account_id, role) in [("Admin", Some(account(1)), Role::Admin), ("ops", None, Role::Operator)]
    {
        let password_hash = "$argon2id$".into();
        let user =
            NewUser { name: name.into(), account: account_id, role, rights: Rights::NONE, password_hash };
        store.create_user(user, at(0)).await.expect("made");
    }
    // The last site is removed: its id must not be given again.
    let removed = store.create_site(account(1), "for a while".into(), at(0)).await.expect("made").id;
    assert_eq!(store.remove_site(account(1), removed, doer(0)).await.expect("tried"), Removed::Gone);

    let job = NewJob {
        kind: job::Kind::Check,
        author: "operator".into(),
        asked: serde_json::json!({ "deep": true }),
    };
    store.add_job(job, None, at(1)).await.expect("written").expect("taken");
    let file = NewJob { kind: job::Kind::Import, author: "operator".into(), asked: serde_json::Value::Null };
    let file = store.add_job(file, None, at(1)).await.expect("written").expect("taken");
    let receiver = store
        .take_lease("imports", std::time::Duration::from_secs(3_600))
        .await
        .expect("asked")
        .expect("free");
    let bad = vec![(7, "it is not UTF-8".to_owned())];
    store.staged(receiver, file.id, serde_json::Value::Null, None).await.expect("staged");
    store
        .note_bad_lines(
            receiver,
            file.id,
            bad,
            Noted::new(job::State::Checking, serde_json::Value::Null, at(0)),
        )
        .await
        .expect("noted");
    store.cancel_job(file.kind, file.id, at(1)).await.expect("ended").expect("there");
    let file = NewJob { kind: job::Kind::Import, author: "operator".into(), asked: serde_json::Value::Null };
    let file = store.add_job(file, None, at(1)).await.expect("written").expect("taken").id;
    for (part, bytes) in (0..).zip(STAGED.repeat(200_000).chunks(1 << 20)) {
        store.stage(receiver, file, part, bytes.to_vec()).await.expect("kept");
    }
    store.staged(receiver, file, serde_json::Value::Null, None).await.expect("staged");
    store.end_lease("imports", receiver).await.expect("ended");
    let made = subscribe(store, subscription(1, DISCONNECTS, "https://a", DAY_MS), 1).await;
    let receiver = Receiver::Email(Email { address: "ops@example.com".into(), digest: Digest::Daily });
    let mail = NewSubscription { account: account(2), subject: DISCONNECTS, receiver, expires_at: None };
    subscribe(store, mail, 1).await;
    let over = subscribe(store, subscription(1, DISCONNECTS, "https://b", DAY_MS), 1).await;
    let partial = store.accept(order(2, 1, disconnect([1, 2, 99]))).await.expect("accepted").id;
    let mut with_key = order(3, 1, disconnect([3]));
    let key = IdempotencyKey { key: "ключ".into(), digest: [7; 32] };
    Arc::make_mut(&mut with_key).key = Some(key);
    let keyed = store.accept(with_key.clone()).await.expect("accepted").id;
    store.accept(order(4, 1, search(100, site, true, false))).await.expect("accepted");
    store.write_note(account(1), Kind::Disconnect, partial, None, note("a note", 5)).await.expect("written");
    let undone = store.accept(order(6, 2, disconnect([16]))).await.expect("accepted").id;
    run_all(store, at(10)).await;
    assert!(store.unsubscribe(account(1), over.id, at(11)).await.expect("removed"));
    let reservation = Reservation {
        id: ReservationId(uuid::Uuid::from_u128(1)),
        account: account(1),
        number: number(20),
        until: at(30 * DAY_MS),
    };
    let reserved = store.reserve(reservation, "username".into(), at(12), policy()).await.expect("tried");
    assert_eq!(reserved, Reserved::Done);
    let lease = node_lease(store).await;
    let first = due(store, lease, 20).await.remove(0).notifications.remove(0);
    store
        .record(lease, attempt(21, Outcome::Answered(200)), vec![(first, Next::Delivered)])
        .await
        .expect("kept");
    store.end_lease("node", lease).await.expect("ended");
    keep_a_reply(store).await;
    let undone = store.undo(undone, false, "username".into(), None, at(22), policy()).await.expect("tried");
    assert!(matches!(undone, Undone::Done { .. }), "{undone:?}");
    let waits = store.accept(order(22, 1, disconnect([4]))).await.expect("accepted").id;
    let changes = Changes::from([(Setting::HeldDays, Some(serde_json::json!(3)))]);
    store.change_settings(changes, Doer::offline(at(22))).await.expect("changed");
    store.remember_clock(Seen { last: at(23), unseen_ms: 5 }, 0).await.expect("written");
    let report = Report {
        id: "rnd-1".into(),
        kind: ReportKind::Rnd,
        company: Some("ACME1".into()),
        period: Some("2026-12".parse().expect("a month")),
        as_of: 1,
        made_at: at(25),
        shown: json!({ "files": [] }),
        made_with: json!({}),
        confirmed: None,
    };
    store.keep_report(report, false).await.expect("kept");
    let drain = Marking { drain: Some(true), footprint: None };
    store
        .mark_block("336-555-0".parse().expect("a block"), drain, "operator".into(), at(26))
        .await
        .expect("marked");
    seal_all(store, at(0)).await.expect("sealed");
    for table in TABLES {
        assert!(store.rows(table).await.expect("read") > 0, "there are no rows of kind {}", table.name);
    }
    let made = store.subscription(account(1), made.id, at(24)).await.expect("read").expect("there");
    Filled {
        site,
        removed,
        subscription: made,
        with_key: (with_key, keyed),
        partial,
        waits,
        reservation,
        token_key: store.token_key(),
        file,
    }
}

/// What the file of an import that has not ended repeats.
const STAGED: &[u8] = b"not a number\n";

/// Returns whether a store has the whole file of an import.
async fn has_file(store: &dyn Store, job: JobId) -> bool {
    let mut file = store.staging(job).await.expect("opened");
    let read = move || {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut bytes).map(|_| bytes)
    };
    let bytes = tokio::task::spawn_blocking(read).await.expect("no panic").expect("read");
    bytes == STAGED.repeat(200_000)
}

/// Does something under a key.
async fn keep_a_reply(store: &dyn Store) {
    let asked = Asked {
        act: Act::Lock,
        account: None,
        numbers: vec![number(15)],
        remaining: 0,
        author: "username".into(),
        made_at: at(22),
        expires_at: at(22),
    };
    let render = Arc::new(|_: &Acted| Some(Reply { status: 200, location: None, body: "{}".into() }));
    let once = Once { user: "username".into(), key: "k".into(), digest: [7; 32], at: at(22), render };
    store.act(asked, None, Some(once), at(22), policy()).await.expect("done");
}

/// Moves everything, as a command does it: each time until it stops or `stops` says so, and goes on there.
async fn moved(from: &dyn Opener, to: &dyn Opener, stops: u64) -> Vec<Equal> {
    let source = from.open().await;
    let mut total = 0;
    for table in TABLES {
        total += source.rows(table).await.expect("read");
    }
    for stop in 0..=stops {
        let target = to.open_for_transfer().await;
        let until = if stop == stops { u64::MAX } else { total * (stop + 1) / (stops + 2) };
        let (reached, first) = (Arc::new(Notify::new()), Arc::new(Mutex::new(None)));
        let (told, begun) = (reached.clone(), first.clone());
        let watch: Watch = Arc::new(move |progress: Progress| {
            begun.lock().expect("no panic").get_or_insert(progress.done);
            if progress.done >= until {
                told.notify_one();
            }
        });
        tokio::select! {
            biased;
            () = reached.notified() => assert_ne!(stop, stops, "it stopped at the end"),
            done = copy(&*source, &*target, &watch) => {
                done.expect("moved");
                assert_eq!(stop, stops, "it was to stop");
            }
        }
        let first = first.lock().expect("no panic").expect("it said where it begins");
        assert_eq!(first > 0, stop > 0, "it goes on where it stopped");
        target.close().await;
    }
    let target = to.open_for_transfer().await;
    // Nothing more is to be moved.
    copy(&*source, &*target, &nobody()).await.expect("moved");
    clean(&*target).await;
    let equal = compare(&*source, &*target, &nobody()).await.expect("equal");
    assert_eq!(equal.iter().map(|equal| equal.rows).sum::<u64>(), total);
    end(&*target).await.expect("ended");
    target.close().await;
    source.close().await;
    equal
}

/// Looks for what was there before the move, and does new things. `hop` counts the moves from 0.
async fn usable(store: &dyn Store, filled: &Filled, hop: u64) {
    let base = 1_000 * (i64::try_from(hop).expect("few") + 1);
    assert_eq!(store.token_key(), filled.token_key);
    assert!(has_file(store, filled.file).await, "an import cannot go on");
    assert_eq!(store.clock().await.expect("read").0, Some(Seen { last: at(23), unseen_ms: 5 }));
    let partial = store.order(account(1), Kind::Disconnect, filled.partial).await.expect("read");
    assert_eq!(partial.expect("there").status, Status::Partial);
    let notes = store.notes(account(1), Kind::Disconnect, filled.partial).await.expect("read");
    assert_eq!(notes.expect("there").len(), 1);
    let (with_key, keyed) = &filled.with_key;
    let again = store.accept(with_key.clone()).await.expect("accepted");
    assert_eq!((again.id, again.again), (*keyed, true));
    let held = store.reservation(account(1), filled.reservation.id).await.expect("read");
    assert_eq!(held, Some(filled.reservation));
    assert_eq!(store.user("admin").await.expect("read").expect("there").name, "Admin");
    let found = store.subscription(account(1), filled.subscription.id, at(30)).await.expect("read");
    assert_eq!(found.as_ref(), Some(&filled.subscription));

    // What waited runs, and new orders get ids of their own and tell the old subscription.
    let told = log(store, &filled.subscription).await.len();
    let new = store.accept(order(base, 1, disconnect([5 + hop]))).await.expect("accepted").id;
    run_all(store, at(base + 10)).await;
    for id in [filled.waits, new] {
        let order = store.order(account(1), Kind::Disconnect, id).await.expect("read").expect("there");
        assert_eq!(order.status, Status::Complete);
    }
    assert_eq!(log(store, &filled.subscription).await.len(), told + if hop == 0 { 2 } else { 1 });
    let lease = node_lease(store).await;
    assert!(!due(store, lease, base + 20).await.is_empty());
    store.end_lease("node", lease).await.expect("ended");
    subscribe(store, subscription(1, DISCONNECTS, &format!("https://{hop}"), DAY_MS), base + 20).await;

    // Numbers in a known area and in a new one. An import that is undone may use up an area's id.
    let areas = [212, 303, 404, 415, 512, 602].map(|npa| of_area(npa, 0));
    let (undone, real) =
        (areas[usize::try_from(2 * hop).expect("few")], areas[usize::try_from(2 * hop + 1).expect("few")]);
    let twice = lines(vec![NewNumber::available(undone), NewNumber::available(undone)]);
    let refused = store.import(twice, Intake::of("twice"), at(base + 30), policy()).await;
    assert!(refused.is_err(), "{refused:?}");
    let numbers = vec![
        in_service(60 + hop, 1),
        NewNumber::available(number(70 + hop)),
        NewNumber::available(real),
        NewNumber::available(of_area(703, hop)),
    ];
    store.import(lines(numbers), Intake::of("new"), at(base + 30), policy()).await.expect("imported");
    let areas = store.areas().await.expect("read");
    let known = areas.iter().filter(|(_, area)| area.name.to_string().starts_with("703")).count();
    assert_eq!(known, 1, "{areas:?}");
    store.accept(order(base + 40, 1, activate([70 + hop], filled.site))).await.expect("accepted");
    run_all(store, at(base + 50)).await;
    let site = store.create_site(account(1), format!("site {hop}"), at(0)).await.expect("made");
    assert!(site.id > filled.removed, "an id was given again");
    store.create_peer(account(1), site.id, "a peer".into(), at(0)).await.expect("made");
    clean(store).await;
}

/// Moves everything from the first store to the next one and so on. What is moved is used in between.
///
/// # Panics
/// If something is lost on the way, or the next store does not go on as the one before would.
pub async fn everything_moves_along(stores: &[&dyn Opener]) {
    let first = stores[0].open().await;
    let filled = fill(&*first).await;
    clean(&*first).await;
    first.close().await;
    for (hop, pair) in (0..).zip(stores.windows(2)) {
        let equal = moved(pair[0], pair[1], 3 * (hop % 2)).await;
        assert_eq!(equal.len(), TABLES.len());
        let store = pair[1].open().await;
        usable(&*store, &filled, hop).await;
        store.close().await;
    }
    let store = stores[stores.len() - 1].open().await;
    release(&*store, at(400 * DAY_MS), 1_000).await;
    assert_ne!(state(&*store, 3).await, onhook_core::lifecycle::diagram::State::Aging);
    clean(&*store).await;
    store.close().await;
}

/// Only an empty store that nobody uses is a target, and only for one source in one state.
///
/// # Panics
/// If something else is moved.
pub async fn a_move_that_cannot_be_right_is_refused(from: &dyn Opener, to: &dyn Opener, other: &dyn Opener) {
    let (one, same) = from.open_twice().await;
    let error = apart(&*one, &*same).await.expect_err("refused");
    assert!(matches!(error, TransferError::Same), "{error:?}");
    assert_eq!((same.mark().await.expect("read"), same.held_leases().await.expect("read")), (None, vec![]));
    one.close().await;
    same.close().await;
    let (source, target) = (from.open().await, to.open_for_transfer().await);
    let filled = fill(&*source).await;
    let tried =
        async |from: &dyn Store, to: &dyn Store| copy(from, to, &nobody()).await.expect_err("refused");
    for (store, of_source) in [(&source, true), (&target, false)] {
        let lease = node_lease(&**store).await;
        match tried(&*source, &*target).await {
            TransferError::SourceInUse(held) if of_source => assert_eq!(held, ["node"]),
            TransferError::TargetInUse(held) if !of_source => assert_eq!(held, ["node"]),
            error => panic!("{error:?}"),
        }
        store.end_lease("node", lease).await.expect("ended");
    }
    let full = other.open().await;
    seed(&*full).await;
    let error = tried(&*source, &*full).await;
    assert!(matches!(error, TransferError::NotEmpty { table: "account", rows: 2 }), "{error:?}");

    apart(&*source, &*target).await.expect("two stores");
    copy(&*source, &*target, &nobody()).await.expect("moved");
    apart(&*source, &*target).await.expect("two stores with the same keys");
    let error = tried(&*full, &*target).await;
    assert!(matches!(error, TransferError::OtherSource), "{error:?}");
    full.close().await;
    compare(&*source, &*target, &nobody()).await.expect("equal");
    source.remember_clock(Seen { last: at(24), unseen_ms: 5 }, 0).await.expect("written");
    let error = tried(&*source, &*target).await;
    assert!(matches!(error, TransferError::Changed), "{error:?}");
    source.remember_clock(Seen { last: at(23), unseen_ms: 5 }, 0).await.expect("written");
    compare(&*source, &*target, &nobody()).await.expect("equal");
    let notes =
        source.notes(account(1), Kind::Disconnect, filled.partial).await.expect("read").expect("there");
    let replaced = Some(notes[0].id);
    source
        .write_note(account(1), Kind::Disconnect, filled.partial, replaced, note("another", 25))
        .await
        .expect("written");
    match compare(&*source, &*target, &nobody()).await {
        Err(TransferError::Differ { thing: "note", key }) => assert_eq!(key, "1"),
        other => panic!("{other:?}"),
    }
    source.create_site(account(1), "new".into(), at(0)).await.expect("made");
    match compare(&*source, &*target, &nobody()).await {
        Err(TransferError::Differ { thing: "site", key }) => assert_eq!(key, "4"),
        other => panic!("{other:?}"),
    }
    source.close().await;
    target.close().await;
}
