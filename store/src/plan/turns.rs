//! Whose orders run next. Accounts take turns, and each account's orders run in the order of their arrival. The orders
//! of one step run in the order of their arrival, whatever their account.
//!
//! Turns are fair by numbers, not by orders (deficit round robin, Shreedhar and Varghese 1995). With each turn an
//! account earns a share of numbers, and runs orders as long as it has earned their numbers. An order of 5,000 numbers
//! waits until its account has earned as many, while other accounts run theirs. An account that is alone runs at once.

use std::collections::{BTreeMap, VecDeque};

use onhook_core::ids::{AccountId, OrderSeq};

/// How many numbers an account earns with a turn.
const SHARE: usize = 100;

/// How many numbers an account earns with a turn while others wait that are not in the step: as many as a step's orders of
/// two numbers have, so that one account can fill it.
const SHARE_BESIDE: usize = 2_048;

/// Most orders that wait, of all accounts: some 64 MB in memory.
pub(crate) const WAITING_MAX: usize = 4_000_000;

/// Most orders of one account that wait.
pub(crate) const WAITING_OF_ACCOUNT_MAX: usize = 1_000_000;

/// An order in its account's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Its sequence number.
    pub seq: OrderSeq,
    /// How many numbers it is about, at least 1.
    pub numbers: usize,
}

impl Queued {
    /// Makes an entry for the queue. An order about no number counts as one number.
    #[must_use]
    pub fn new(seq: OrderSeq, numbers: usize) -> Self {
        Self { seq, numbers: numbers.max(1) }
    }
}

/// What waits of an account: its first orders, as many as one step may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// The account.
    pub account: AccountId,
    /// How many orders these are. 0 if they were not counted.
    pub orders: usize,
    /// How many numbers they are about together.
    pub numbers: usize,
}

impl Backlog {
    /// Returns how many of the orders the account can run with a turn, at least one.
    fn of_turn(&self) -> usize {
        if self.numbers <= SHARE_BESIDE {
            self.orders
        } else {
            (self.orders * SHARE_BESIDE / self.numbers).max(1)
        }
    }
}

/// Returns how many of these accounts, from the first on, have enough orders for a step of `orders_max`. The others are
/// left for other steps, which can run at the same time.
#[must_use]
pub fn enough(waiting: &[Backlog], orders_max: usize) -> usize {
    let mut orders = 0;
    let fill = waiting.iter().position(|backlog| {
        orders += backlog.of_turn();
        orders >= orders_max
    });
    fill.map_or(waiting.len(), |last| last + 1)
}

/// The orders that have not run yet, by account.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    queues: BTreeMap<AccountId, Queue>,
    /// The accounts with orders, in the order of their turns.
    round: VecDeque<AccountId>,
    orders: usize,
    /// True if orders of other accounts wait that are not among these.
    others: bool,
}

#[derive(Clone, Debug, Default)]
struct Queue {
    orders: VecDeque<Queued>,
    /// Numbers earned and not used.
    earned: usize,
}

impl Turns {
    /// Returns turns as a store holds them: the accounts in the order of their turns, each with the numbers that it has
    /// earned and its first orders. Accounts without orders are left out.
    #[must_use]
    pub fn of(queues: impl IntoIterator<Item = (AccountId, usize, Vec<Queued>)>) -> Self {
        let mut turns = Self::default();
        for (account, earned, orders) in queues {
            for order in orders {
                turns.push(account, order);
            }
            if let Some(queue) = turns.queues.get_mut(&account) {
                queue.earned = earned;
            }
        }
        turns
    }

    /// Says that orders of other accounts wait, too: each account has one turn in a step.
    #[must_use]
    pub fn beside_others(self) -> Self {
        Self { others: true, ..self }
    }

    /// Returns the accounts with orders in the order of their turns, each with the numbers that it has earned.
    pub fn round(&self) -> impl Iterator<Item = (AccountId, usize)> {
        let earned = |account| self.queues.get(account).map_or(0, |queue| queue.earned);
        self.round.iter().map(move |account| (*account, earned(account)))
    }

    /// Adds an order that has arrived after all others of its account.
    pub fn push(&mut self, account: AccountId, order: Queued) {
        let queue = self.queues.entry(account).or_default();
        if queue.orders.is_empty() {
            self.round.push_back(account);
        }
        queue.orders.push_back(order);
        self.orders += 1;
    }

    /// Returns how many orders wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.orders
    }

    /// True if no order waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.orders == 0
    }

    /// Returns how many orders of an account wait.
    #[must_use]
    pub fn waiting_of(&self, account: AccountId) -> usize {
        self.queues.get(&account).map_or(0, |queue| queue.orders.len())
    }

    /// True if another order of the account may not wait: as many wait as may.
    #[must_use]
    pub fn is_full(&self, account: AccountId) -> bool {
        self.orders >= WAITING_MAX || self.waiting_of(account) >= WAITING_OF_ACCOUNT_MAX
    }

    /// Returns the first of all waiting orders, by arrival.
    #[must_use]
    pub fn first(&self) -> Option<OrderSeq> {
        self.queues.values().filter_map(|queue| Some(queue.orders.front()?.seq)).min()
    }

    /// Takes the orders of the next step: at most `orders_max` orders and `numbers_max` numbers, but at least one
    /// order. Returns them in the order of their arrival, in which they run.
    pub fn take(&mut self, orders_max: usize, numbers_max: usize) -> Vec<(AccountId, Queued)> {
        let mut taken = self.choose(orders_max, numbers_max);
        taken.sort_unstable_by_key(|(_, order)| order.seq);
        taken
    }

    fn choose(&mut self, orders_max: usize, numbers_max: usize) -> Vec<(AccountId, Queued)> {
        let mut taken = Vec::new();
        let mut numbers = 0;
        let share = if self.others { SHARE_BESIDE } else { SHARE };
        let mut turns = if self.others { self.round.len() } else { usize::MAX };
        while taken.len() < orders_max
            && (turns > 0 || taken.is_empty())
            && let Some(account) = self.round.pop_front()
        {
            turns = turns.saturating_sub(1);
            let alone = self.round.is_empty() && !self.others;
            let Some(queue) = self.queues.get_mut(&account) else { continue };
            queue.earned = queue.earned.saturating_add(share);
            while taken.len() < orders_max
                && let Some(next) = queue.orders.front().copied()
            {
                if !taken.is_empty() && numbers + next.numbers > numbers_max {
                    // It does not fit into this step. Its account keeps what it earned, and is the first of the next
                    // step.
                    self.round.push_front(account);
                    return taken;
                }
                if !alone && next.numbers > queue.earned {
                    break;
                }
                queue.orders.pop_front();
                queue.earned = queue.earned.saturating_sub(next.numbers);
                numbers += next.numbers;
                self.orders -= 1;
                taken.push((account, next));
            }
            if self.others && queue.orders.front().is_some_and(|next| next.numbers <= queue.earned) {
                queue.earned = 0; // the step was full: what is left of a turn is no saving
            }
            if queue.orders.is_empty() {
                self.queues.remove(&account); // an account without orders saves nothing
            } else {
                self.round.push_back(account);
            }
        }
        taken
    }

    /// Puts back orders that were taken and have not run, in front of later ones.
    pub fn put_back(&mut self, orders: impl DoubleEndedIterator<Item = (AccountId, Queued)>) {
        for (account, order) in orders.rev() {
            let queue = self.queues.entry(account).or_default();
            if queue.orders.is_empty() {
                self.round.push_front(account);
            }
            queue.orders.push_front(order);
            queue.earned = queue.earned.saturating_add(order.numbers);
            self.orders += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: u32) -> AccountId {
        AccountId::new(id).unwrap()
    }

    fn turns(orders: &[(u32, i64, usize)]) -> Turns {
        let mut turns = Turns::default();
        for (of, seq, numbers) in orders {
            turns.push(account(*of), Queued { seq: OrderSeq(*seq), numbers: *numbers });
        }
        turns
    }

    fn take(turns: &mut Turns, orders_max: usize, numbers_max: usize) -> Vec<i64> {
        turns.take(orders_max, numbers_max).into_iter().map(|(_, order)| order.seq.0).collect()
    }

    #[test]
    fn an_account_that_is_alone_runs_in_the_order_of_arrival() {
        let mut turns = turns(&[(1, 1, 2), (1, 2, 5_000), (1, 3, 2)]);
        assert_eq!(turns.first(), Some(OrderSeq(1)));
        assert_eq!(take(&mut turns, 256, 5_000), [1]);
        assert_eq!(take(&mut turns, 256, 5_000), [2]);
        assert_eq!(take(&mut turns, 256, 5_000), [3]);
        assert!(turns.is_empty() && take(&mut turns, 256, 5_000).is_empty());
    }

    #[test]
    fn small_orders_of_one_account_do_not_wait_for_large_ones_of_another() {
        let large: Vec<_> = (1..=50).map(|seq| (1, seq, 5_000)).collect();
        let mut turns = turns(&large);
        assert_eq!(take(&mut turns, 256, 5_000), [1]);
        turns.push(account(2), Queued { seq: OrderSeq(51), numbers: 2 });
        assert_eq!(take(&mut turns, 256, 5_000)[0], 51, "the other account is next");
        assert_eq!(turns.len(), 49);
    }

    #[test]
    fn what_waits_has_a_bound_that_is_an_account_s_own() {
        let mut turns = Turns::default();
        for seq in (1..).take(WAITING_OF_ACCOUNT_MAX) {
            assert!(!turns.is_full(account(1)));
            turns.push(account(1), Queued { seq: OrderSeq(seq), numbers: 1 });
        }
        assert!(turns.is_full(account(1)) && !turns.is_full(account(2)));
        take(&mut turns, 1, 1);
        assert!(!turns.is_full(account(1)), "one has run");
    }

    #[test]
    fn accounts_share_by_numbers() {
        let mut orders: Vec<_> = (0..400).map(|n| (1, 2 * n, 1)).collect();
        orders.extend((0..40).map(|n| (2, 2 * n + 1, 10)));
        let mut turns = turns(&orders);
        let taken = turns.take(10_000, 600);
        let numbers =
            |of| taken.iter().filter(|(a, _)| *a == account(of)).map(|(_, o)| o.numbers).sum::<usize>();
        assert_eq!((numbers(1), numbers(2)), (300, 300));
    }

    #[test]
    fn a_step_leaves_the_accounts_that_it_has_no_room_for() {
        let backlog = |orders, numbers| Backlog { account: account(1), orders, numbers };
        let light = backlog(1, 2);
        let heavy = backlog(256, 512);
        assert_eq!(enough(&[], 256), 0);
        assert_eq!(enough(&[light; 32], 256), 32);
        assert_eq!(enough(&[light, heavy, light], 256), 2);
        assert_eq!(enough(&[heavy; 3], 256), 1);
        assert_eq!(enough(&[backlog(256, 4_096); 3], 256), 2, "a turn is for 128 of its orders");
        assert_eq!(enough(&[backlog(40, 200_000); 3], 256), 3, "large orders: each saves for its own");
    }

    #[test]
    fn accounts_of_different_steps_share_by_numbers() {
        // Each step has one of them, and the other waits: one with orders of a number, one with orders of ten.
        let ran = |account, numbers| {
            let mut ran = 0;
            let mut turns = Turns::default();
            for seq in 0..8_000 {
                turns.push(account, Queued { seq: OrderSeq(seq), numbers });
            }
            for _ in 0..3 {
                let mut step = turns.clone().beside_others();
                ran += step.take(10_000, 5_000).into_iter().map(|(_, order)| order.numbers).sum::<usize>();
                turns = step;
            }
            ran
        };
        assert_eq!((ran(account(1), 1), ran(account(2), 10)), (6_144, 6_140));
        // What a full step leaves of a turn is not saved.
        let mut turns = turns(&[(1, 1, 1), (1, 2, 1), (1, 3, 1)]).beside_others();
        assert_eq!(take(&mut turns, 1, 10).len(), 1);
        assert_eq!(turns.round().collect::<Vec<_>>(), [(account(1), 0)]);
    }

    #[test]
    fn an_order_of_any_size_runs_at_last() {
        let mut turns = turns(&[(1, 1, 5_000)]);
        for seq in 2..2_000 {
            turns.push(account(2), Queued { seq: OrderSeq(seq), numbers: 10 });
        }
        let ran = std::iter::from_fn(|| Some(take(&mut turns, 256, 5_000)).filter(|taken| !taken.is_empty()));
        let steps: Vec<_> = ran.take(50).collect();
        assert!(steps.iter().any(|step| step.contains(&1)), "{steps:?}");
    }

    #[test]
    fn what_a_store_holds_of_turns_goes_on_where_it_was() {
        let orders =
            |first: i64, numbers| (first..first + 60).map(|n| Queued { seq: OrderSeq(n), numbers }).collect();
        let mut turns = Turns::of([
            (account(1), 0, orders(0, 10)),
            (account(2), 500, orders(100, 10)),
            (account(3), 0, Vec::new()),
        ]);
        let taken = turns.take(100, 700);
        let of = |id| taken.iter().filter(|(of, _)| *of == account(id)).count();
        assert_eq!((of(1), of(2)), (10, 60), "the second had earned more");
        assert_eq!(turns.round().collect::<Vec<_>>(), [(account(1), 100)], "it has earned its next turn");
    }

    #[test]
    fn what_did_not_run_is_put_back_where_it_was() {
        let mut turns = turns(&[(1, 1, 2), (2, 2, 2), (1, 3, 2)]);
        let taken = turns.take(256, 5_000);
        assert_eq!(taken.len(), 3);
        turns.put_back(taken.into_iter());
        assert_eq!((turns.len(), turns.waiting_of(account(1)), turns.first()), (3, 2, Some(OrderSeq(1))));
        let again = take(&mut turns, 256, 5_000);
        let at = |seq| again.iter().position(|one| *one == seq);
        assert!(at(1) < at(3), "{again:?}");
    }
}
