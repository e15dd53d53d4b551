//! Signing in, with a store and with time as an argument. Everything except argon2 and the store runs on the test's own
//! thread, so that metrics are counted for this test alone.

use onhook_core::account::user::Rights;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use onhook_core::account::user::Asker;
use onhook_core::account::{AccountKind, Class, Role};
use onhook_core::ids::AccountId;
use onhook_core::time::Timestamp;
use onhook_store::contract::accounts::NewAccount;
use onhook_store::contract::users::{NewUser, UserChange};
use onhook_store::sqlite::SqliteStore;
use tokio::sync::OwnedSemaphorePermit;

use super::*;

const PASSWORD: &str = "correct horse";
const SECOND: Duration = Duration::from_secs(1);

/// A store with the users `one` and `other`, and the part of a server that signs in.
struct Desk {
    auth: Arc<Auth>,
    store: Arc<dyn Store>,
    begin: Now,
    metrics: PrometheusHandle,
    _recorder: metrics::LocalRecorderGuard<'static>,
    _folder: tempfile::TempDir,
}

async fn desk() -> Desk {
    let recorder = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
    let (metrics, guard) = (recorder.handle(), metrics::set_default_local_recorder(recorder));
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path()).unwrap());
    let id = AccountId::new(1).unwrap();
    let account = NewAccount { id, name: "one".into(), kind: AccountKind::EndUser, class: Class::Unknown };
    store
        .create_account(account, onhook_core::lifecycle::provenance::Doer::offline(Timestamp::from_millis(0)))
        .await
        .unwrap();
    let password_hash = hash_password(PASSWORD).unwrap();
    for name in ["one", "other"] {
        let hash = password_hash.clone();
        let user = NewUser {
            name: name.into(),
            account: Some(id),
            role: Role::Order,
            rights: Rights::NONE,
            password_hash: hash,
        };
        store.create_user(user, Timestamp::from_millis(0)).await.unwrap();
    }
    Desk {
        auth: Arc::new(Auth::new(store.token_key(), true).unwrap()),
        store,
        begin: Now { steady: Instant::now(), wall: Timestamp::from_millis(1_000_000) },
        metrics,
        _recorder: guard,
        _folder: folder,
    }
}

fn header(value: &str) -> http::HeaderMap {
    let value = http::HeaderValue::from_str(value).unwrap();
    http::HeaderMap::from_iter([(http::header::AUTHORIZATION, value)])
}

fn pair(name: &str, password: &str) -> http::HeaderMap {
    header(&format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
}

fn address(n: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, n])
}

impl Desk {
    /// Returns another server's part on the same store.
    fn another(&self) -> Arc<Auth> {
        Arc::new(Auth::new(self.store.token_key(), true).unwrap())
    }

    fn later(&self, by: Duration) -> Now {
        let wall = self.begin.wall.plus_millis(i64::try_from(by.as_millis()).unwrap());
        Now { steady: self.begin.steady + by, wall }
    }

    async fn knock(
        &self,
        auth: &Arc<Auth>,
        headers: &http::HeaderMap,
        after: Duration,
    ) -> Result<Role, Refused> {
        let caller = auth.sign_in(&self.store, headers, address(1), self.later(after)).await;
        caller.map(|caller| caller.role)
    }

    /// Signs in from an address, as a task that has begun when this returns.
    async fn begin(&self, headers: http::HeaderMap, from: IpAddr, after: Duration) -> Task {
        let (auth, store, now) = (self.auth.clone(), self.store.clone(), self.later(after));
        let task = tokio::spawn(async move { auth.sign_in(&store, &headers, from, now).await });
        tokio::task::yield_now().await;
        task
    }

    /// Keeps all checks from running.
    async fn hold_checks(&self) -> OwnedSemaphorePermit {
        let all = self.auth.turns.available_permits().try_into().unwrap();
        self.auth.turns.clone().acquire_many_owned(all).await.unwrap()
    }

    fn counted(&self, metric: &str) -> u64 {
        let text = self.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
        line.map_or(0, |count| count.parse().unwrap())
    }

    fn checks(&self) -> u64 {
        self.counted("onhook_password_checks_total")
    }

    async fn change(&self, name: &str, change: UserChange) {
        self.store
            .change_user(
                Asker::AtTheMachine,
                name.into(),
                change,
                onhook_core::lifecycle::provenance::Doer::offline(Timestamp::from_millis(0)),
            )
            .await
            .unwrap();
    }
}

type Task = tokio::task::JoinHandle<Result<Caller, Refused>>;

/// Returns how many of the tasks ended so.
async fn ended(tasks: Vec<Task>, so: impl Fn(&Result<Caller, Refused>) -> bool) -> usize {
    let mut count = 0;
    for task in tasks {
        count += usize::from(so(&task.await.unwrap()));
    }
    count
}

const WRONG: Result<Caller, Refused> = Err(Refused::Unknown(Why::Password));

#[tokio::test]
async fn a_change_on_one_server_is_felt_on_another_within_two_seconds() {
    let desk = desk().await;
    let (here, there) = (desk.auth.clone(), desk.another());
    let issue = async |after| {
        let token = here.issue(&desk.store, &pair("One", PASSWORD), address(1), desk.later(after)).await;
        header(&format!("Bearer {}", token.unwrap()))
    };
    let (token, basic) = (issue(Duration::ZERO).await, pair("one", PASSWORD));
    for auth in [&here, &there] {
        assert_eq!(desk.knock(auth, &token, Duration::ZERO).await, Ok(Role::Order));
        assert_eq!(desk.knock(auth, &basic, Duration::ZERO).await, Ok(Role::Order));
    }
    let checks = desk.checks();
    // With another role, the token ends, and the password stays good without another check.
    desk.change("one", UserChange::Set { password_hash: None, role: Some(Role::Read), rights: None }).await;
    here.forget("ONE");
    let ended = Err(Refused::Unknown(Why::Token));
    assert_eq!(desk.knock(&here, &token, Duration::ZERO).await, ended);
    assert_eq!(desk.knock(&here, &basic, Duration::ZERO).await, Ok(Role::Read));
    assert_eq!(desk.knock(&there, &token, 2 * SECOND).await, ended);
    assert_eq!(desk.knock(&there, &basic, 2 * SECOND).await, Ok(Role::Read));
    assert_eq!(desk.checks(), checks);
    // With another password, the token ends too.
    let token = issue(2 * SECOND).await;
    assert_eq!(desk.knock(&there, &token, 2 * SECOND).await, Ok(Role::Read));
    let hash = hash_password("battery staple").unwrap();
    desk.change("one", UserChange::Set { password_hash: Some(hash), role: None, rights: None }).await;
    for headers in [&token, &basic] {
        assert!(desk.knock(&there, headers, 4 * SECOND).await.is_err());
    }
    assert_eq!(desk.knock(&there, &pair("one", "battery staple"), 4 * SECOND).await, Ok(Role::Read));
    // A removed user has no token, and neither has a new user of the same name.
    let other = pair("other", PASSWORD);
    let token = here.issue(&desk.store, &other, address(1), desk.later(4 * SECOND)).await.unwrap();
    let token = header(&format!("Bearer {token}"));
    assert_eq!(desk.knock(&there, &token, 4 * SECOND).await, Ok(Role::Order));
    let user = desk.store.user("other").await.unwrap().unwrap();
    desk.change("other", UserChange::Removed).await;
    assert_eq!(desk.knock(&there, &token, 6 * SECOND).await, ended);
    let User { name, account, role, password_hash, .. } = user;
    desk.store
        .create_user(
            NewUser { name, account, role, rights: Rights::NONE, password_hash },
            Timestamp::from_millis(0),
        )
        .await
        .unwrap();
    assert_eq!(desk.knock(&there, &token, 8 * SECOND).await, ended);
}

#[tokio::test]
async fn a_token_is_good_by_the_system_s_clock_and_for_its_own_store() {
    let (desk, stranger) = (desk().await, Auth::new([1; 32], true).map(Arc::new).unwrap());
    let token = desk.auth.issue(&desk.store, &pair("one", PASSWORD), address(1), desk.begin).await.unwrap();
    let token = header(&format!("Bearer {token}"));
    let ended = Err(Refused::Unknown(Why::Token));
    assert_eq!(desk.knock(&stranger, &token, Duration::ZERO).await, ended);
    for (seconds, good) in [(3_599, true), (3_600, false)] {
        assert_eq!(desk.knock(&desk.auth, &token, seconds * SECOND).await.is_ok(), good, "{seconds}");
    }
    let again = desk.auth.issue(&desk.store, &token, address(1), desk.begin).await;
    assert_eq!(again, Err(Refused::Unknown(Why::Token)), "a token gets no other token");
    assert_eq!(desk.counted("onhook_sign_ins_failed_total{reason=\"token\"}"), 3);
}

#[tokio::test]
async fn many_requests_of_one_user_whose_check_is_due_share_one() {
    let desk = desk().await;
    let right = || pair("one", PASSWORD);
    let knock = async |after| desk.knock(&desk.auth, &right(), after).await;
    assert_eq!((knock(Duration::ZERO).await, knock(SECOND).await), (Ok(Role::Order), Ok(Role::Order)));
    assert_eq!(desk.checks(), 1);
    // The users' check is due when an attack has filled everything that can be filled.
    let later = 600 * SECOND;
    let held = desk.hold_checks().await;
    let mut guesses = Vec::new();
    for n in 0..100 {
        guesses.push(desk.begin(pair(&format!("name{n}"), "guess"), address(2 + n % 4), later).await);
    }
    assert_eq!(
        desk.begin(pair("other", PASSWORD), address(9), later).await.await.unwrap(),
        Err(Refused::Busy)
    );
    let mut right_ones = Vec::new();
    for _ in 0..128 {
        right_ones.push(desk.begin(right(), address(1), later).await);
    }
    drop(held);
    assert_eq!(ended(right_ones, Result::is_ok).await, 128);
    assert_eq!(ended(guesses, |verdict| *verdict == WRONG).await, 64);
    assert_eq!(desk.checks(), 1 + 64 + 1);
    assert_eq!(desk.counted("onhook_sign_ins_failed_total{reason=\"busy\"}"), 36 + 1);
    assert!(lock(&desk.auth.checks).is_empty());
}

#[tokio::test]
async fn many_first_requests_of_one_user_share_one_check_too() {
    let desk = desk().await;
    let mut tasks = Vec::new();
    for _ in 0..128 {
        tasks.push(desk.begin(pair("one", PASSWORD), address(1), Duration::ZERO).await);
    }
    assert_eq!(ended(tasks, Result::is_ok).await, 128);
    assert_eq!(desk.checks(), 1);
}

#[tokio::test]
async fn what_a_check_from_before_a_change_finds_is_not_told_after_it() {
    let desk = desk().await;
    let held = desk.hold_checks().await;
    let before = desk.begin(pair("one", PASSWORD), address(1), Duration::ZERO).await;
    desk.change("one", UserChange::Removed).await;
    desk.auth.forget("one");
    let after = desk.begin(pair("one", PASSWORD), address(1), Duration::ZERO).await;
    assert_eq!(lock(&desk.auth.checks).len(), 2);
    drop(held);
    assert_eq!(after.await.unwrap(), WRONG);
    let _ = before.await.unwrap(); // it was asked for when nothing had changed yet: either will do
    let again = desk.knock(&desk.auth, &pair("one", PASSWORD), Duration::ZERO).await;
    assert_eq!(again, Err(Refused::Unknown(Why::Password)));
}

#[tokio::test]
async fn wrong_sign_ins_from_one_address_leave_room_for_others() {
    let desk = desk().await;
    let held = desk.hold_checks().await;
    let mut guesses = Vec::new();
    for n in 0..200 {
        guesses.push(desk.begin(pair(&format!("name{n}"), "guess"), address(1), Duration::ZERO).await);
    }
    let others = [
        desk.begin(pair("one", PASSWORD), address(2), Duration::ZERO).await,
        desk.begin(pair("other", PASSWORD), address(3), Duration::ZERO).await,
    ];
    drop(held);
    assert_eq!(ended(others.into(), Result::is_ok).await, 2);
    assert_eq!(ended(guesses, |verdict| *verdict == WRONG).await, 32);
}

#[tokio::test]
async fn of_many_guesses_at_once_ten_are_checked() {
    let desk = desk().await;
    let mut guesses = Vec::new();
    for n in 0..64 {
        guesses.push(desk.begin(pair("one", &format!("guess {n}")), address(1), Duration::ZERO).await);
    }
    assert_eq!(ended(guesses, |verdict| *verdict == WRONG).await, 10);
    assert_eq!(desk.checks(), 10);
    assert_eq!(desk.counted("onhook_sign_ins_failed_total{reason=\"password\"}"), 10);
    assert_eq!(desk.counted("onhook_sign_ins_failed_total{reason=\"too_many\"}"), 54);
    assert_eq!(desk.counted("onhook_sign_ins_held_up_total{by=\"name_and_address\"}"), 1);
}

#[tokio::test]
async fn a_client_that_hangs_up_takes_back_no_guess_and_keeps_no_place() {
    let desk = desk().await;
    let held = desk.hold_checks().await;
    for n in 0..10 {
        desk.begin(pair("one", &format!("guess {n}")), address(1), Duration::ZERO).await.abort();
    }
    drop(held);
    while !lock(&desk.auth.checks).is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(desk.checks(), 10);
    let next = desk.knock(&desk.auth, &pair("one", PASSWORD), Duration::ZERO).await;
    assert_eq!(next, Err(Refused::TooMany(60 * SECOND)));
    assert_eq!(desk.knock(&desk.auth, &pair("one", PASSWORD), 60 * SECOND).await, Ok(Role::Order));
}

#[tokio::test]
async fn a_name_that_is_guessed_from_many_addresses_goes_on_where_it_was_known() {
    let desk = desk().await;
    assert_eq!(desk.knock(&desk.auth, &pair("one", PASSWORD), Duration::ZERO).await, Ok(Role::Order));
    let (mut checked, mut refused) = (0, 0);
    for n in 0..100 {
        let (guess, now) = (pair("ONE", &format!("guess {n}")), desk.later(SECOND));
        match desk.auth.sign_in(&desk.store, &guess, address(n % 10), now).await {
            Err(Refused::Unknown(Why::Password)) => checked += 1,
            Err(Refused::TooMany(wait)) => {
                assert!(wait <= 900 * SECOND, "{wait:?}");
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((checked, refused), (60, 40));
    assert_eq!(desk.counted("onhook_sign_ins_held_up_total{by=\"name\"}"), 1);
    // The right password is no guess where it was good before, even when its check is due. Elsewhere it is one.
    for after in [SECOND, 30 * SECOND, 600 * SECOND] {
        assert_eq!(desk.knock(&desk.auth, &pair("one", PASSWORD), after).await, Ok(Role::Order), "{after:?}");
    }
    let elsewhere = desk.another();
    assert_eq!(desk.knock(&elsewhere, &pair("one", PASSWORD), SECOND).await, Ok(Role::Order));
    // Another password is a guess, and has its try, since a permitted change clears the failures.
    let hash = hash_password("battery staple").unwrap();
    desk.change("one", UserChange::Set { password_hash: Some(hash), role: None, rights: None }).await;
    desk.auth.forget("one");
    let new = desk.knock(&desk.auth, &pair("one", "battery staple"), 601 * SECOND).await;
    assert_eq!(new, Ok(Role::Order));
}

#[tokio::test]
async fn a_user_gets_six_hundred_tokens_a_minute_unless_nothing_is_limited() {
    let desk = desk().await;
    let (one, other) = (pair("one", PASSWORD), pair("other", PASSWORD));
    let unlimited = Arc::new(Auth::new(desk.store.token_key(), false).unwrap());
    let mut refused = None;
    for issued in 0..2_000 {
        unlimited.issue(&desk.store, &one, address(1), desk.begin).await.unwrap();
        if refused.is_none() {
            let issue = desk.auth.issue(&desk.store, &one, address(1), desk.begin).await;
            refused = issue.err().map(|why| (issued, why));
        }
    }
    // Ten come back each second, and this test takes some seconds.
    let (issued, why) = refused.unwrap();
    assert!((600..1_500).contains(&issued), "{issued}");
    assert!(matches!(why, Refused::TooMany(wait) if wait <= SECOND), "{why:?}");
    assert!(desk.auth.issue(&desk.store, &other, address(1), desk.begin).await.is_ok());
}

#[test]
fn names_and_passwords_do_not_run_together() {
    let auth = Auth::new([0; 32], true).unwrap();
    assert_ne!(auth.fingerprint("ab", "c"), auth.fingerprint("a", "bc"));
}
