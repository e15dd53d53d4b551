//! How many connections fit into the files that the system lets a process open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are kept free for other uses than clients' connections: the store, deliveries under way, the log.
const BESIDE_MAX: u64 = 256;

/// Raises this process's limit of open files as far as the system allows. Returns how many of the `wanted` connections
/// fit into them, at least one.
pub(crate) fn fitting_files(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    // If the limit cannot be raised, the current one is used.
    let raised = Rlimit { current: limit.maximum, ..limit };
    let files = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    let fit = fitting(files, wanted);
    if fit < wanted {
        let files = files.unwrap_or(u64::MAX);
        tracing::warn!(
            files,
            connections = fit,
            "at most {fit} connections are open at once, {wanted} are set: the system lets this process have {files} \
             files open. Raise its limit (LimitNOFILE= of the unit, ulimit -Hn), or set connections_max to {fit}"
        );
    }
    fit
}

/// Returns how many of the `wanted` connections fit into so many files. `None` is no limit.
fn fitting(files: Option<u64>, wanted: usize) -> usize {
    let Some(files) = files else { return wanted };
    let room = files - BESIDE_MAX.min(files / 2);
    usize::try_from(room).unwrap_or(usize::MAX).clamp(1, wanted.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_rest() {
        for (files, wanted, fit) in [
            (None, 4_096, 4_096),
            (Some(1 << 20), 4_096, 4_096),
            (Some(4_352), 4_096, 4_096),
            (Some(4_351), 4_096, 4_095),
            (Some(1_024), 4_096, 768),
            (Some(100), 4_096, 50),
            (Some(1), 4_096, 1),
            (Some(0), 4_096, 1),
            (Some(1_024), 5, 5),
        ] {
            assert_eq!(fitting(files, wanted), fit, "{files:?} files, {wanted} wanted");
        }
    }
}
