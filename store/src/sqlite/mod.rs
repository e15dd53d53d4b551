//! The embedded store: one SQLite file in a folder on this machine.
//!
//! One process has the folder, one thread in it writes ([`writer`]), a few connections read. WAL, and
//! `synchronous=FULL`: a commit that was answered survives a power cut. (With `NORMAL`, the last
//! commits before a cut are gone, and the integrity check does not tell.) The log's index is in memory, not in a
//! file that is mapped: on a full disk such a file cannot grow, and a write to it can end the process.

mod applications;
mod changes;
mod check;
mod disk;
mod health;
mod ids;
mod log;
mod memory;
mod notifications;
mod places;
mod pool;
mod premises;
mod reader;
mod reservations;
mod row;
pub mod schema;
mod subscriptions;
mod users;
mod writer;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::account::application::{Application, ApplicationChange, NewApplication, NotNamed, Service};
use onhook_core::account::details::{PeerChange, PeerDetails, SiteChange, SiteDetails};
use onhook_core::account::user::{Asker, UserRefusal};
use onhook_core::account::{Account, Peer, Premises, Site};
use onhook_core::clock::Seen;
use onhook_core::ids::ApplicationId;
use onhook_core::ids::AreaId;
use onhook_core::ids::NotificationSeq;
use onhook_core::ids::OrderId;
use onhook_core::ids::ReservationId;
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::ids::{SubscriptionId, SubscriptionSeq};
use onhook_core::import::Intake;
use onhook_core::lifecycle::area::{Area, AreaName};
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::locality::{Exchange, Locality};
use onhook_core::notify::notification::{Attempt, Next};
use onhook_core::notify::subscription::{NewSubscription, Subscription};
use onhook_core::number::Number;
use onhook_core::order::amend::{Amendment, NotWaiting};
use onhook_core::order::search::Criteria;
use onhook_core::order::{Kind, Line, NewOrder, Order, Summary};
use onhook_core::reservation::{NotReserved, Reservation};
use onhook_core::time::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::oneshot;

use self::disk::Disk;
pub use self::disk::RESERVE_BYTES;
use self::ids::OrderIds;
use self::log::Log;
use self::memory::Memory;
use self::reader::Readers;
use self::writer::{Purpose, Tables, Writer};
use crate::{
    Accepted, Delivery, Due, ExchangeLines, Facts, History, Imported, Lines, NewAccount, NewUser, Note,
    NumberQuery, OrderQuery, Page, PoolQuery, RateCenter, RateCenterQuery, Ready, Relocated, Removed, Report,
    Result, Step, Stock, Store, StoreError, Subscribed, SubscriptionQuery, Totals, Unwritable, User,
    UserChange, Watch,
};

/// The database's name in the data folder.
pub const FILE: &str = "onhook.db";
const LOCK: &str = "onhook.lock";
/// Bytes of a page. A random number dirties a page of its own, so that a commit writes, sums and syncs a page
/// for each: half of SQLite's usual size costs less there, and lists and imports do not feel it.
const PAGE_BYTES: i64 = 2_048;
/// How SQLite goes to the file: its process is the only one, and the log's index is memory of that process.
const VFS: &str = "unix-excl";
/// The writer's page cache, in KiB.
const CACHE_KIB: i64 = 131_072;

/// Why a data folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the data folder {} is in use by another onhook", .0.display())]
    InUse(PathBuf),
    /// The folder is not there, and was not to be made.
    #[error("there is no onhook data in {}", .0.display())]
    Missing(PathBuf),
    /// This user may not read or write it.
    #[error("the data folder {} may not be used by this user", .0.display())]
    Denied(PathBuf),
    /// The folder or its lock cannot be used.
    #[error("cannot use the data folder {}", .0.display())]
    Folder(PathBuf, #[source] std::io::Error),
    /// The database cannot be used.
    #[error("cannot open the database")]
    Database(#[from] StoreError),
}

impl OpenError {
    fn of(folder: &Path, error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::PermissionDenied {
            Self::Denied(folder.to_owned())
        } else {
            Self::Folder(folder.to_owned(), error)
        }
    }
}

/// A store in a folder.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    ids: Arc<OrderIds>,
    token_key: [u8; 32],
    /// Held while the store is open; given up with the file.
    lock: std::sync::Mutex<Option<File>>,
}

impl SqliteStore {
    /// Opens the store in `folder`, which is made if it is not there, and brings it to the newest
    /// schema. `policy` is what holds are decided by.
    ///
    /// # Errors
    /// [`OpenError`]: another process has the folder, or the store cannot be used; nothing was changed.
    pub fn open(folder: &Path, policy: Arc<Policy>) -> std::result::Result<Self, OpenError> {
        Self::open_keeping(folder, policy, None)
    }

    /// As [`SqliteStore::open`], and takes nothing new while less than `reserve` bytes of the disk are free.
    /// When nothing is said, that is [`RESERVE_BYTES`] or a tenth of the disk, whichever is less.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn open_keeping(
        folder: &Path,
        policy: Arc<Policy>,
        reserve: Option<u64>,
    ) -> std::result::Result<Self, OpenError> {
        make_folder(folder).map_err(|error| OpenError::of(folder, error))?;
        Self::open_existing(folder, policy, true, reserve)
    }

    /// Opens the store in a folder that has one, for a person's command: it may write as long as there is any
    /// room.
    ///
    /// # Errors
    /// As [`SqliteStore::open`]; `Missing` when there is none.
    pub fn open_if_there(folder: &Path, policy: Arc<Policy>) -> std::result::Result<Self, OpenError> {
        match fs::metadata(folder.join(FILE)) {
            Ok(file) if file.is_file() => Self::open_existing(folder, policy, false, Some(0)),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                Err(OpenError::Denied(folder.to_owned()))
            }
            _ => Err(OpenError::Missing(folder.to_owned())),
        }
    }

    fn open_existing(
        folder: &Path,
        policy: Arc<Policy>,
        make: bool,
        reserve: Option<u64>,
    ) -> std::result::Result<Self, OpenError> {
        let lock = lock(folder)?;
        schema::check_engine()?;
        let disk = Disk::of(folder, reserve);
        Self::open_locked(lock, policy, make, disk).map_err(|error| match error {
            OpenError::Database(error) => OpenError::Database(of_an_opening(error, folder)),
            error => error,
        })
    }

    fn open_locked(
        lock: File,
        policy: Arc<Policy>,
        make: bool,
        disk: Disk,
    ) -> std::result::Result<Self, OpenError> {
        let folder = disk.folder();
        let unusable = |error| OpenError::of(&folder, error);
        let path = folder.join(FILE);
        let new = make && !path.exists();
        if new {
            // Before the engine does: its log takes the mode of the database.
            private().create_new(true).open(&path).map_err(unusable)?;
        } else if let Err(error) = OpenOptions::new().read(true).open(&path) {
            // The engine would only say that it cannot open it.
            return Err(unusable(error));
        }
        let mut connection = connect(&path)?;
        schema::migrate(&mut connection)?;
        if new {
            // The file's name must be on disk before anything in it is answered for.
            let sync = |folder: &Path| File::open(folder).and_then(|folder| folder.sync_all());
            sync(&folder)
                .and_then(|()| folder.canonicalize()?.parent().map_or(Ok(()), sync))
                .map_err(unusable)?;
        }
        let memory = Memory::load(&connection)?;
        let readers = Readers::open(&path)?;
        let ids = Arc::new(OrderIds::load(&connection)?);
        let token_key = row::key(&connection, "token_key")?;
        let log = Log::open(&path, left_alone(&connection)?).map_err(unusable)?;
        let writer = Writer::start(connection, (log, disk), memory, policy, ids.clone())?;
        Ok(Self { writer, readers, ids, token_key, lock: std::sync::Mutex::new(Some(lock)) })
    }
}

impl SqliteStore {
    /// Does `work` in one transaction; in a dry run the transaction is undone, and only its answer stays.
    async fn write_unless<T, W>(&self, dry_run: bool, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Tables<'_>) -> Result<T> + Send + 'static,
    {
        if !dry_run {
            return self.writer.write(work).await;
        }
        let (answer, answered) = oneshot::channel();
        let undone = self.writer.write(move |tables| -> Result<()> {
            let done = work(tables)?;
            let _ = answer.send(done);
            Err(StoreError::Full) // undoes it
        });
        let undone = undone.await;
        match (answered.await, undone) {
            (Ok(done), _) => Ok(done),
            (Err(_), Err(error)) => Err(error),
            (Err(_), Ok(())) => Err(StoreError::Closed),
        }
    }
}

/// Why the database cannot be opened, in words where they are known.
fn of_an_opening(error: StoreError, folder: &Path) -> StoreError {
    let disk = Disk::of(folder, Some(0));
    let no_room = disk.room().is_some_and(|room| room.free == 0);
    let folder = folder.to_owned();
    match row::engine_error(&error).map(|error| error.code) {
        Some(ErrorCode::DiskFull) => disk.full().into(),
        Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) if no_room => disk.full().into(),
        Some(ErrorCode::ReadOnly) => Unwritable::ReadOnly { folder }.into(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Unwritable::Locked { folder }.into(),
        _ => error,
    }
}

fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Makes a file that nobody else may read: the database holds password hashes, and the
/// keys of the orders' ids and of the tokens.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn lock(folder: &Path) -> std::result::Result<File, OpenError> {
    let unusable = |error| OpenError::of(folder, error);
    let mut options = private();
    options.create(true).truncate(false);
    let file = options.open(folder.join(LOCK)).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags_and_vfs(path, flags, VFS)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?; // of a new file; another has what it has
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(row::corrupt(format!("the file system allows no write-ahead log (journal mode {mode})")));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Has a connection whose database nobody else has wait for no lock: all that it could wait for is this process's
/// own readers. The bytes of a page.
fn left_alone(connection: &Connection) -> Result<u64> {
    connection.busy_timeout(std::time::Duration::ZERO)?;
    let page_bytes: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    Ok(page_bytes.unsigned_abs())
}

#[async_trait]
impl Store for SqliteStore {
    async fn accept(&self, order: Arc<NewOrder>) -> Result<Accepted> {
        let request = serde_json::to_string(&order.request)?;
        self.writer.write_together(Purpose::Intake, move |tables| tables.accept(&order, &request)).await
    }

    async fn run_orders(&self, now: Timestamp, orders_max: usize, numbers_max: usize) -> Result<Step> {
        self.writer.write_own(move |tables| tables.run_orders(now, orders_max, numbers_max)).await
    }

    async fn release(&self, now: Timestamp, numbers_max: usize) -> Result<Step> {
        self.writer.write_own(move |tables| tables.release(now, numbers_max)).await
    }

    async fn order(&self, account: AccountId, kind: Kind, id: OrderId) -> Result<Option<Order>> {
        let ids = self.ids.clone();
        self.readers.read(move |connection| reader::order(connection, &ids, account, kind, id)).await
    }

    async fn orders(&self, query: OrderQuery) -> Result<Page<Summary, OrderId>> {
        let ids = self.ids.clone();
        self.readers.read(move |connection| reader::orders(connection, &ids, &query)).await
    }

    async fn notes(&self, account: AccountId, kind: Kind, id: OrderId) -> Result<Option<Vec<Note>>> {
        let ids = self.ids.clone();
        self.readers
            .read(move |connection| match reader::order_seq(connection, &ids, account, kind, id)? {
                Some(order) => reader::notes(connection, order).map(Some),
                None => Ok(None),
            })
            .await
    }

    async fn write_note(
        &self,
        account: AccountId,
        kind: Kind,
        id: OrderId,
        replaces: Option<i64>,
        note: (String, String, Timestamp),
    ) -> Result<Option<i64>> {
        self.writer
            .write(move |tables| match tables.order_seq(account, kind, id)? {
                Some(order) => {
                    let (text, at) = (note.1.clone(), note.2);
                    let written = tables.write_note(order, replaces, note)?;
                    if let (Some(id), None) = (written, replaces) {
                        tables.tell_note(account, kind, order, (id, &text), at)?;
                    }
                    Ok(written)
                }
                None => Ok(None),
            })
            .await
    }

    async fn amend_order(
        &self,
        account: AccountId,
        id: OrderId,
        amendment: Amendment,
        user: String,
        now: Timestamp,
    ) -> Result<Option<std::result::Result<Order, NotWaiting>>> {
        self.writer.write(move |tables| tables.amend_order(account, id, &amendment, &user, now)).await
    }

    async fn order_lines(&self, account: AccountId, kind: Kind, id: OrderId) -> Result<Option<Vec<Line>>> {
        let ids = self.ids.clone();
        self.readers
            .read(move |connection| match reader::order_seq(connection, &ids, account, kind, id)? {
                Some(order) => reader::lines(connection, order).map(Some),
                None => Ok(None),
            })
            .await
    }

    async fn reserve(
        &self,
        wanted: Reservation,
        user: String,
        now: Timestamp,
    ) -> Result<std::result::Result<(), NotReserved>> {
        self.writer.write(move |tables| tables.reserve(wanted, &user, now)).await
    }

    async fn reservation(&self, account: AccountId, id: ReservationId) -> Result<Option<Reservation>> {
        self.readers.read(move |connection| reservations::by_id(connection, account, id)).await
    }

    async fn reservation_of(
        &self,
        account: Option<AccountId>,
        number: Number,
    ) -> Result<Option<Reservation>> {
        self.readers.read(move |connection| reservations::of_number(connection, account, number)).await
    }

    async fn cancel_reservation(
        &self,
        account: AccountId,
        id: ReservationId,
        user: String,
        now: Timestamp,
    ) -> Result<Option<Reservation>> {
        self.writer.write(move |tables| tables.cancel_reservation(account, id, &user, now)).await
    }

    async fn subscribe(&self, new: NewSubscription, now: Timestamp) -> Result<Subscribed> {
        self.writer.write(move |tables| tables.subscribe(new, None, now)).await
    }

    async fn resubscribe(
        &self,
        id: SubscriptionId,
        new: NewSubscription,
        now: Timestamp,
    ) -> Result<Subscribed> {
        self.writer.write(move |tables| tables.subscribe(new, Some(id), now)).await
    }

    async fn unsubscribe(&self, account: AccountId, id: SubscriptionId, now: Timestamp) -> Result<bool> {
        self.writer.write(move |tables| tables.unsubscribe(account, id, now)).await
    }

    async fn subscription(
        &self,
        account: AccountId,
        id: SubscriptionId,
        now: Timestamp,
    ) -> Result<Option<Subscription>> {
        self.readers.read(move |connection| subscriptions::one(connection, account, id, now)).await
    }

    async fn subscriptions(&self, query: SubscriptionQuery) -> Result<Vec<Subscription>> {
        self.readers.read(move |connection| subscriptions::list(connection, &query)).await
    }

    async fn due(
        &self,
        now: Timestamp,
        after: SubscriptionSeq,
        subscriptions_max: usize,
        each_max: (usize, usize),
    ) -> Result<(Vec<Due>, Option<SubscriptionSeq>)> {
        self.readers
            .read(move |connection| notifications::due(connection, now, after, subscriptions_max, each_max))
            .await
    }

    async fn ready(
        &self,
        subscription: SubscriptionSeq,
        notifications: Vec<NotificationSeq>,
    ) -> Result<Option<Ready>> {
        self.readers
            .read(move |connection| notifications::ready(connection, subscription, &notifications))
            .await
    }

    async fn record(&self, attempt: Attempt, what: Vec<(NotificationSeq, Next)>) -> Result<()> {
        self.writer.write_together(Purpose::Own, move |tables| tables.record(&attempt, &what)).await
    }

    async fn deliveries(
        &self,
        account: AccountId,
        id: SubscriptionId,
        page: u32,
        size: usize,
    ) -> Result<Option<(Vec<Delivery>, u64)>> {
        self.readers.read(move |connection| notifications::log(connection, account, id, page, size)).await
    }

    async fn expire_subscriptions(
        &self,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<(SubscriptionId, AccountId)>> {
        self.writer.write_own(move |tables| tables.expire_subscriptions(now, most)).await
    }

    async fn forget_deliveries(&self, now: Timestamp, most: usize) -> Result<usize> {
        self.writer.write_own(move |tables| tables.forget_deliveries(now, most)).await
    }

    async fn facts(&self, number: Number) -> Result<Option<Facts>> {
        self.readers.read(move |connection| reader::facts(connection, number)).await
    }

    async fn facts_of(&self, numbers: Vec<Number>) -> Result<Vec<Facts>> {
        self.readers
            .read(move |connection| {
                let facts = numbers.iter().map(|number| reader::facts(connection, *number).transpose());
                facts.flatten().collect()
            })
            .await
    }

    async fn localities(&self, numbers: Vec<Number>) -> Result<Vec<(Number, Locality)>> {
        self.readers.read(move |connection| places::localities(connection, &numbers)).await
    }

    async fn history(&self, number: Number) -> Result<Option<History>> {
        self.readers
            .read(move |connection| match reader::number(connection, number)? {
                Some(row) => reader::told_history(connection, &row).map(Some),
                None => Ok(None),
            })
            .await
    }

    async fn numbers(&self, query: NumberQuery) -> Result<Page<Number, Number>> {
        self.readers.read(move |connection| reader::numbers(connection, &query)).await
    }

    async fn count(&self, query: NumberQuery) -> Result<u64> {
        self.readers.read(move |connection| reader::count(connection, &query)).await
    }

    async fn pool(&self, query: PoolQuery) -> Result<Vec<(Entry, Locality)>> {
        self.readers.read(move |connection| pool::pool(connection, &query)).await
    }

    async fn stock(&self, criteria: Criteria) -> Result<Vec<Stock>> {
        self.readers.read(move |connection| pool::stock(connection, &criteria)).await
    }

    async fn exchanges(&self, criteria: Criteria) -> Result<Vec<Exchange>> {
        self.readers.read(move |connection| places::exchanges(connection, &criteria)).await
    }

    async fn rate_centers(&self, query: RateCenterQuery) -> Result<Page<RateCenter, u32>> {
        self.readers.read(move |connection| places::rate_centers(connection, &query)).await
    }

    async fn import_exchanges(&self, lines: ExchangeLines, dry_run: bool) -> Result<Imported> {
        self.write_unless(dry_run, move |tables| tables.import_exchanges(lines)).await
    }

    async fn areas(&self) -> Result<Vec<(AreaId, Area)>> {
        self.readers.read(reader::areas).await
    }

    async fn create_account(&self, account: NewAccount, now: Timestamp) -> Result<Account> {
        self.writer.write(move |tables| tables.create_account(account, now)).await
    }

    async fn add_site(&self, account: AccountId, site: SiteChange) -> Result<(Site, SiteDetails)> {
        self.writer.write(move |tables| tables.add_site(account, site)).await
    }

    async fn change_site(
        &self,
        account: AccountId,
        id: SiteId,
        change: SiteChange,
    ) -> Result<Option<(Site, SiteDetails)>> {
        self.writer.write(move |tables| tables.change_site(account, id, change)).await
    }

    async fn remove_site(&self, account: AccountId, id: SiteId) -> Result<Removed> {
        self.writer.write(move |tables| tables.remove_site(account, id)).await
    }

    async fn make_default_site(&self, account: AccountId, id: SiteId) -> Result<bool> {
        self.writer.write(move |tables| tables.make_default_site(account, id)).await
    }

    async fn add_peer(
        &self,
        account: AccountId,
        site: SiteId,
        peer: PeerChange,
    ) -> Result<(Peer, PeerDetails)> {
        self.writer.write(move |tables| tables.add_peer(account, site, peer)).await
    }

    async fn change_peer(
        &self,
        account: AccountId,
        site: SiteId,
        id: PeerId,
        change: PeerChange,
    ) -> Result<Option<(Peer, PeerDetails)>> {
        self.writer.write(move |tables| tables.change_peer(account, site, id, change)).await
    }

    async fn remove_peer(&self, account: AccountId, site: SiteId, id: PeerId) -> Result<Removed> {
        self.writer.write(move |tables| tables.remove_peer(account, site, id)).await
    }

    async fn relocate(
        &self,
        account: AccountId,
        place: (SiteId, PeerId),
        numbers: Vec<Number>,
        user: String,
        now: Timestamp,
    ) -> Result<Relocated> {
        self.writer.write(move |tables| tables.relocate(account, place, &numbers, user, now)).await
    }

    async fn add_application(&self, account: AccountId, new: NewApplication) -> Result<Application> {
        self.writer.write(move |tables| tables.add_application(account, new)).await
    }

    async fn change_application(
        &self,
        account: AccountId,
        id: ApplicationId,
        change: ApplicationChange,
    ) -> Result<Option<Application>> {
        self.writer.write(move |tables| tables.change_application(account, id, change)).await
    }

    async fn remove_application(&self, account: AccountId, id: ApplicationId) -> Result<Removed> {
        self.writer.write(move |tables| tables.remove_application(account, id)).await
    }

    async fn applications(
        &self,
        account: AccountId,
        only: Option<ApplicationId>,
    ) -> Result<Vec<Application>> {
        self.readers.read(move |connection| applications::list(connection, account, only)).await
    }

    async fn name_application(
        &self,
        account: AccountId,
        peer: PeerId,
        service: Service,
        application: Option<ApplicationId>,
    ) -> Result<std::result::Result<(), NotNamed>> {
        self.writer.write(move |tables| tables.name_application(account, peer, service, application)).await
    }

    async fn application_of(
        &self,
        account: AccountId,
        peer: PeerId,
        service: Service,
    ) -> Result<Option<ApplicationId>> {
        self.readers.read(move |connection| applications::named_by(connection, account, peer, service)).await
    }

    async fn peers_with(&self, account: AccountId, application: ApplicationId) -> Result<Vec<(Site, Peer)>> {
        self.readers.read(move |connection| applications::peers_with(connection, account, application)).await
    }

    async fn create_user(&self, user: NewUser) -> Result<()> {
        self.writer.write(move |tables| tables.create_user(user)).await
    }

    async fn make_user(&self, asker: String, user: NewUser) -> Result<std::result::Result<(), UserRefusal>> {
        self.writer.write(move |tables| tables.make_user(asker, user)).await
    }

    async fn change_user(
        &self,
        asker: Asker,
        name: String,
        change: UserChange,
    ) -> Result<std::result::Result<(), UserRefusal>> {
        self.writer.write(move |tables| tables.change_user(asker, &name, change)).await
    }

    async fn user(&self, name: &str) -> Result<Option<User>> {
        let name = name.to_owned();
        self.readers.read(move |connection| reader::user(connection, &name)).await
    }

    fn token_key(&self) -> [u8; 32] {
        self.token_key
    }

    async fn account(&self, id: AccountId) -> Result<Option<(Account, Premises)>> {
        self.readers.read(move |connection| reader::account_with_premises(connection, id)).await
    }

    async fn accounts(&self) -> Result<Vec<Account>> {
        self.readers.read(|connection| reader::accounts(connection, None)).await
    }

    async fn sites(&self, account: Option<AccountId>) -> Result<Vec<Site>> {
        self.readers.read(move |connection| reader::sites(connection, account)).await
    }

    async fn peers(&self, account: Option<AccountId>) -> Result<Vec<Peer>> {
        self.readers.read(move |connection| reader::peers(connection, account)).await
    }

    async fn sites_in_full(
        &self,
        account: AccountId,
        only: Option<SiteId>,
    ) -> Result<Vec<(Site, SiteDetails)>> {
        self.readers.read(move |connection| reader::sites_in_full(connection, account, only)).await
    }

    async fn peers_in_full(
        &self,
        account: AccountId,
        site: SiteId,
        only: Option<PeerId>,
    ) -> Result<Vec<(Peer, PeerDetails)>> {
        self.readers.read(move |connection| reader::peers_in_full(connection, account, site, only)).await
    }

    async fn in_service(&self, account: AccountId) -> Result<Vec<(SiteId, Option<PeerId>, u64)>> {
        self.readers.read(move |connection| reader::in_service(connection, account)).await
    }

    async fn users(&self) -> Result<Vec<User>> {
        self.readers.read(reader::users).await
    }

    async fn users_of(&self, account: AccountId) -> Result<Vec<User>> {
        self.readers.read(move |connection| reader::users_of(connection, account)).await
    }

    async fn import(&self, lines: Lines, intake: Intake, now: Timestamp) -> Result<Imported> {
        self.write_unless(intake.dry_run, move |tables| tables.import(lines, &intake, now)).await
    }

    async fn export(&self, after: Option<Number>, size: usize) -> Result<Vec<(Entry, AreaName)>> {
        self.readers.read(move |connection| reader::export(connection, after, size)).await
    }

    async fn check_watched(&self, deep: bool, watch: Watch) -> Result<Report> {
        let ids = self.ids.clone();
        self.readers.read(move |connection| check::check(connection, &ids, deep, &watch)).await
    }

    async fn totals(&self, now: Timestamp) -> Result<Totals> {
        let totals = self.readers.read(move |connection| reader::totals(connection, now)).await?;
        let failed = self.writer.health().failed();
        Ok(Totals { queue: self.writer.queued(), failed, ..totals })
    }

    async fn remember_clock(&self, seen: Seen, moved_ms: i64) -> Result<()> {
        self.writer.write_own(move |tables| tables.remember_clock(seen, moved_ms)).await
    }

    async fn clock(&self) -> Result<(Option<Seen>, i64)> {
        self.readers.read(reader::clock).await
    }

    fn healthy(&self) -> Result<()> {
        self.writer.health().get()
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close();
        if let Some(file) = writer::lock(&self.lock).take() {
            // Not only by closing the file: a process that is being spawned has it too until it executes.
            let _ = file.unlock();
        }
    }
}
