//! What a cluster is started with.

use std::path::{Path, PathBuf};

/// A cluster's settings that differ from PostgreSQL's defaults, and the folder to make it in.
#[derive(Clone, Debug)]
pub struct Settings {
    values: Vec<(String, String)>,
    parent: PathBuf,
}

impl Settings {
    /// Returns settings as in production: a commit is on the disk when it is answered.
    #[must_use]
    pub fn durable() -> Self {
        Self::new("on")
    }

    /// Returns settings for tests: nothing waits for the disk. Commits still wait for standbys, and survive the end of
    /// the server's processes, but not of the machine.
    #[must_use]
    pub fn quick() -> Self {
        Self::new("off").with("shared_buffers", "32MB")
    }

    fn new(disk: &str) -> Self {
        let new = Self { values: Vec::new(), parent: std::env::temp_dir() };
        new.with("fsync", disk)
            .with("synchronous_commit", "on")
            .with("full_page_writes", disk)
            .with("max_parallel_maintenance_workers", "0") // they need shared memory that containers lack
            .with("timezone", "UTC")
    }

    /// Sets one of PostgreSQL's settings; a later value replaces an earlier one.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.values.retain(|(known, _)| known != name);
        self.values.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Makes the cluster's folder in `parent` instead of the system's folder for temporary files. The cluster's user
    /// must be able to pass through it.
    #[must_use]
    pub fn within(mut self, parent: &Path) -> Self {
        parent.clone_into(&mut self.parent);
        self
    }

    /// Returns the settings for a standby of a cluster with these: all but the standbys that commits wait for, since
    /// it has none of its own.
    pub(crate) fn for_standby(&self) -> Self {
        self.clone().with("synchronous_standby_names", "")
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = String> {
        self.values.iter().map(|(name, value)| format!("{name}={value}"))
    }

    pub(crate) fn parent(&self) -> &Path {
        &self.parent
    }
}
