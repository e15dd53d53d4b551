//! A simulation of orders that wait: accounts send them, and the steps of nodes take turns on the accounts.
//!
//! Time goes on in ticks of a millisecond. Orders come by chance. A step takes accounts whose orders wait, those first that
//! waited longest for their turn, and no account is in two steps. Its node's own work and its waits for answers and for
//! the disk come first. Its work in the database, which is one session's, then shares the database's cores with that of
//! other steps. The cores that accepts take are not there for steps.

use std::collections::VecDeque;

use crate::measure::float;

/// A tick, in seconds.
const TICK: f64 = 0.001;
/// Ticks that are simulated.
const TICKS: usize = 20_000;
/// Orders of the first ticks are not counted: the system is empty then.
const WARM_UP: usize = 5_000;
/// Steps of a node at once, and most orders and accounts of a step: what onhook does.
const STEPS: usize = 4;
const STEP_ORDERS: u64 = 1_024;
const STEP_ACCOUNTS: usize = 64;
/// Most nodes that are tried.
const NODES_MAX: usize = 32;

/// A system that takes orders.
pub(crate) struct System {
    /// Accounts, each with as many orders as any other.
    pub(crate) accounts: u16,
    /// Orders a second, of all accounts.
    pub(crate) rate: f64,
    pub(crate) nodes: usize,
    /// Cores of the database.
    pub(crate) cores: f64,
    /// What an order costs the database until it is accepted, in seconds of a core.
    pub(crate) accept: f64,
    /// What it costs the database in a step.
    pub(crate) step: f64,
    /// What it costs the node in a step.
    pub(crate) node: f64,
    /// How long a step takes in any case, in seconds.
    pub(crate) any_step: f64,
}

/// What became of the orders.
#[derive(Debug, PartialEq)]
pub(crate) struct Simulated {
    /// The time from an order's accept until it is COMPLETE, in seconds: of half of the orders at most, and of 99 of 100.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Cores of the database that were busy, on average.
    pub(crate) busy: f64,
    /// True if orders came faster than they ended.
    pub(crate) falls_behind: bool,
}

/// An account's orders that wait: how many came in which tick.
#[derive(Default)]
struct Account {
    waiting: VecDeque<(usize, u64)>,
    count: u64,
    held: bool,
    /// When it last had its turn, as a count of steps.
    turn: u64,
}

impl Account {
    fn arrive(&mut self, tick: usize, orders: u64) {
        if orders > 0 {
            self.waiting.push_back((tick, orders));
            self.count += orders;
        }
    }

    /// Takes at most so many orders, those first that came first.
    fn take(&mut self, most: u64, taken: &mut Vec<(usize, u64)>) -> u64 {
        let mut left = most;
        while let Some((tick, orders)) = self.waiting.front_mut().filter(|_| left > 0) {
            let some = left.min(*orders);
            taken.push((*tick, some));
            left -= some;
            *orders -= some;
            if *orders == 0 {
                self.waiting.pop_front();
            }
        }
        self.count -= most - left;
        most - left
    }
}

/// A step under way.
struct Step {
    node: usize,
    accounts: Vec<usize>,
    /// Its orders: how many came in which tick.
    orders: Vec<(usize, u64)>,
    /// Seconds until its work in the database begins.
    before: f64,
    /// Seconds of a core that its work in the database still needs.
    left: f64,
}

/// Simulates a system with its nodes, or with as many more as it takes to keep up. More nodes than there are accounts for
/// their steps change nothing.
pub(crate) fn with_enough_nodes(mut system: System) -> (System, Simulated) {
    let most = usize::from(system.accounts).div_ceil(STEPS).clamp(system.nodes, NODES_MAX);
    loop {
        let simulated = simulate(&system);
        if !simulated.falls_behind || system.nodes == most {
            return (system, simulated);
        }
        system.nodes += 1;
    }
}

/// Simulates a system. The same one has the same result each time.
fn simulate(system: &System) -> Simulated {
    let mut chance = fastrand::Rng::with_seed(1);
    let mut accounts: Vec<Account> = (0..system.accounts).map(|_| Account::default()).collect();
    let (mut steps, mut turn): (Vec<Step>, u64) = (Vec::new(), 0);
    let (mut took, mut busy) = (vec![0_u64; TICKS + 1], 0.0);
    let mean = system.rate * TICK / f64::from(system.accounts);
    for tick in 0..TICKS {
        let mut arrived = 0;
        for account in &mut accounts {
            let orders = poisson(&mut chance, mean);
            account.arrive(tick, orders);
            arrived += orders;
        }
        for node in 0..system.nodes {
            while steps.iter().filter(|step| step.node == node).count() < STEPS {
                let Some(step) = begin(system, node, &mut accounts, &mut turn) else { break };
                steps.push(step);
            }
        }
        let accepts = (float(arrived) * system.accept).min(system.cores * TICK);
        busy += accepts + work(&mut steps, system.cores * TICK - accepts);
        steps.retain(|step| {
            let ended = step.before <= 0.0 && step.left <= 0.0;
            if ended {
                for account in &step.accounts {
                    accounts[*account].held = false;
                }
                for (came, orders) in step.orders.iter().filter(|(came, _)| *came >= WARM_UP) {
                    took[tick + 1 - came] += orders;
                }
            }
            !ended
        });
    }
    let left: u64 = accounts.iter().map(|account| account.count).sum();
    Simulated {
        p50: percentile(&took, 0.5),
        p99: percentile(&took, 0.99),
        busy: busy / (float_of(TICKS) * TICK),
        falls_behind: float(left) > system.rate,
    }
}

/// Begins a step with the accounts that waited longest for their turn: as many as fill it, and at most this node's share.
fn begin(system: &System, node: usize, accounts: &mut [Account], turn: &mut u64) -> Option<Step> {
    let mut free: Vec<usize> =
        (0..accounts.len()).filter(|n| accounts[*n].count > 0 && !accounts[*n].held).collect();
    free.sort_unstable_by_key(|n| accounts[*n].turn);
    let most = free.len().div_ceil(system.nodes).min(STEP_ACCOUNTS);
    let (mut orders, mut room, mut claimed) = (Vec::new(), STEP_ORDERS, Vec::new());
    for n in free.into_iter().take(most) {
        if room == 0 {
            break;
        }
        *turn += 1;
        let account = &mut accounts[n];
        (account.held, account.turn) = (true, *turn);
        room -= account.take(room, &mut orders);
        claimed.push(n);
    }
    let count = float(STEP_ORDERS - room);
    let (before, left) = (system.any_step + count * system.node, count * system.step);
    (!claimed.is_empty()).then_some(Step { node, accounts: claimed, orders, before, left })
}

/// Does a tick's work of the steps with so many seconds of cores, and returns how many they used.
fn work(steps: &mut [Step], cores: f64) -> f64 {
    let in_database = steps.iter().filter(|step| step.before <= 0.0).count();
    let share = (cores / float_of(in_database.max(1))).clamp(0.0, TICK);
    let mut used = 0.0;
    for step in steps {
        if step.before > 0.0 {
            step.before -= TICK;
        } else {
            used += share.min(step.left);
            step.left -= share;
        }
    }
    used
}

/// Returns how many come, if so many come on average (Knuth, The Art of Computer Programming, 3.4.1).
fn poisson(chance: &mut fastrand::Rng, mean: f64) -> u64 {
    let (end, mut product, mut count) = ((-mean).exp(), chance.f64(), 0);
    while product > end {
        product *= chance.f64();
        count += 1;
    }
    count
}

/// Returns the time that this part of the orders took at most, in seconds.
fn percentile(took: &[u64], part: f64) -> f64 {
    let all: u64 = took.iter().sum();
    let mut seen = 0;
    let ticks = took.iter().position(|orders| {
        seen += orders;
        float(seen) >= part * float(all)
    });
    float_of(ticks.unwrap_or_default()) * TICK
}

fn float_of(count: usize) -> f64 {
    float(u64::try_from(count).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An order takes a tenth of a millisecond of the database in a step, and a step 5 ms beside.
    const SYSTEM: System = System {
        accounts: 1,
        rate: 1_000.0,
        nodes: 2,
        cores: 8.0,
        accept: 0.000_1,
        step: 0.000_1,
        node: 0.0,
        any_step: 0.005,
    };

    #[test]
    fn a_quiet_system_s_orders_take_a_step_and_the_rest_of_the_one_before() {
        let quiet = simulate(&SYSTEM);
        assert!(!quiet.falls_behind && (0.005..0.012).contains(&quiet.p50), "{quiet:?}");
        assert!(
            (0.19..0.21).contains(&quiet.busy),
            "a tenth of a millisecond twice, a thousand times a second: {quiet:?}"
        );
    }

    #[test]
    fn one_account_has_the_rate_of_one_session_whatever_there_is_beside() {
        // A full step takes 107.4 ms: 9,534 orders a second.
        let most = |rate, accounts| simulate(&System { rate, accounts, nodes: 8, cores: 64.0, ..SYSTEM });
        assert!(!most(9_000.0, 1).falls_behind);
        assert!(most(11_000.0, 1).falls_behind);
        assert!(!most(11_000.0, 2).falls_behind, "two accounts have two sessions");
    }

    #[test]
    fn what_the_cores_do_not_do_waits() {
        let many = |cores| simulate(&System { rate: 20_000.0, accounts: 100, cores, ..SYSTEM });
        assert!(!many(5.0).falls_behind, "they are busy for four fifths");
        let few = many(3.0);
        assert!(few.falls_behind && few.busy > 2.9, "{few:?}");
    }

    #[test]
    fn nodes_are_added_while_they_help() {
        let system = |accounts| System { accounts, rate: 100_000.0, cores: 64.0, ..SYSTEM };
        let (many, kept_up) = with_enough_nodes(system(100));
        assert!(!kept_up.falls_behind && many.nodes == 3, "eight steps do 76,000 a second: {}", many.nodes);
        let (few, behind) = with_enough_nodes(system(4));
        assert!(behind.falls_behind && few.nodes == 2);
    }

    #[test]
    fn as_many_come_as_are_said() {
        let mut chance = fastrand::Rng::with_seed(2);
        let came: u64 = (0..10_000).map(|_| poisson(&mut chance, 2.5)).sum();
        assert!((24_000..26_000).contains(&came), "{came}");
    }
}
