//! A measurement: how many requests, in what time, and how long each took.

use std::time::{Duration, Instant};

/// Steps of each power of two: latencies are exact to 1.6 %.
const STEPS: usize = 64;
const STEPS_BITS: u32 = STEPS.ilog2();
/// Longer latencies count as this one: 2^40 ns, eighteen minutes.
const NANOSECONDS_MAX: u64 = (1 << 40) - 1;

/// The counts of one worker of a measurement: a connection or a session.
pub(crate) struct Tally {
    done: u64,
    errors: u64,
    answer_bytes: usize,
    buckets: Vec<u64>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { done: 0, errors: 0, answer_bytes: 0, buckets: vec![0; bucket(NANOSECONDS_MAX) + 1] }
    }

    pub(crate) fn done(&mut self, latency: Duration) {
        self.done += 1;
        self.buckets[bucket(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX))] += 1;
    }

    pub(crate) fn error(&mut self) {
        self.errors += 1;
    }

    pub(crate) fn answered(&mut self, bytes: usize) {
        self.answer_bytes = bytes;
    }

    fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.errors += other.errors;
        self.answer_bytes = self.answer_bytes.max(other.answer_bytes);
        for (sum, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum += more;
        }
    }

    /// Returns the latency that `percent` of the requests did not exceed.
    fn percentile(&self, percent: u64) -> Duration {
        let rank = (self.done * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (at, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(bucket_end(at));
            }
        }
        Duration::ZERO
    }
}

fn bucket(nanoseconds: u64) -> usize {
    let value = nanoseconds.min(NANOSECONDS_MAX);
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(STEPS_BITS + 1);
    let step = usize::try_from(value >> shift).expect("below 2 × STEPS");
    usize::try_from(shift).expect("below 64") * STEPS + step
}

/// Returns the largest value of the bucket.
fn bucket_end(bucket: usize) -> u64 {
    let shift = (bucket / STEPS).saturating_sub(1);
    let step = u64::try_from(bucket - shift * STEPS).expect("below 2 × STEPS");
    ((step + 1) << shift) - 1
}

/// The result of one measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// When the first request was sent.
    pub(crate) started: Instant,
    /// From then until the last answer.
    pub(crate) elapsed: Duration,
    /// How many requests succeeded.
    pub(crate) done: u64,
    /// How many requests failed: another status than 2xx, or a broken connection.
    pub(crate) errors: u64,
    /// The median latency of those that succeeded.
    pub(crate) p50: Duration,
    /// The 99th percentile of their latencies.
    pub(crate) p99: Duration,
    /// The body length of the longest good answer, in bytes.
    pub(crate) answer_bytes: usize,
}

impl Measured {
    pub(crate) fn new(started: Instant, tallies: &[Tally]) -> Self {
        let elapsed = started.elapsed();
        let mut sum = Tally::new();
        for tally in tallies {
            sum.add(tally);
        }
        Self {
            started,
            elapsed,
            done: sum.done,
            errors: sum.errors,
            p50: sum.percentile(50),
            p99: sum.percentile(99),
            answer_bytes: sum.answer_bytes,
        }
    }

    pub(crate) fn per_second(&self) -> f64 {
        float(self.done) / self.elapsed.as_secs_f64()
    }
}

/// Converts a count to a float, exact below 2^53.
pub(crate) fn float(count: u64) -> f64 {
    let half = |bits: u64| f64::from(u32::try_from(bits & u64::from(u32::MAX)).expect("masked"));
    half(count >> 32) * 4_294_967_296.0 + half(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_end_and_no_more() {
        for value in [0, 1, 63, 64, 127, 128, 129, 1_000, 65_535, 1_234_567, NANOSECONDS_MAX] {
            let end = bucket_end(bucket(value));
            assert!(end >= value && end - value <= value / 64, "{value} {end}");
            assert_eq!(bucket(end), bucket(value));
            assert!(end == NANOSECONDS_MAX || bucket(end + 1) == bucket(value) + 1);
        }
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut tally = Tally::new();
        for microseconds in 1..=1_000 {
            tally.done(Duration::from_micros(microseconds));
        }
        let near = |percent, microseconds: u64| {
            let got = tally.percentile(percent).as_secs_f64() * 1e6 / float(microseconds);
            assert!((1.0..1.02).contains(&got), "{percent} {got}");
        };
        near(50, 500);
        near(99, 990);
        near(100, 1_000);
    }

    #[test]
    fn counts_become_floats() {
        for (count, expected) in [(0, 0.0), (7, 7.0), (1 << 40, 1_099_511_627_776.0)] {
            assert!((float(count) - expected).abs() < f64::EPSILON);
        }
    }
}
