//! A lock-free histogram.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::catalogue::BOUNDS_SECONDS;

/// The number of buckets: the bounds and `+Inf`.
pub(crate) const BUCKETS: usize = BOUNDS_SECONDS.len() + 1;

/// The bounds in nanoseconds, so that observations are compared as integers.
const BOUNDS_NANOS: [u64; BOUNDS_SECONDS.len()] = {
    let mut nanos = [0; BOUNDS_SECONDS.len()];
    let mut at = 0;
    while at < nanos.len() {
        nanos[at] = (BOUNDS_SECONDS[at] * 1e9) as u64;
        at += 1;
    }
    nanos
};

/// Counts durations by bucket, with two relaxed additions per observation. A concurrent scrape may see only
/// one of them; the next scrape sees both.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// The number of observations per bucket, not cumulative.
    buckets: [AtomicU64; BUCKETS],
    /// The sum of all durations in nanoseconds. Wraps after 584 years.
    sum_nanos: AtomicU64,
}

/// The values of a histogram at one moment.
pub(crate) struct Reading {
    /// The upper bound in seconds and the count of each bucket, not cumulative.
    pub(crate) buckets: [(f64, u64); BUCKETS],
    pub(crate) sum_seconds: f64,
    /// The sum of the buckets, so that the output is consistent.
    pub(crate) count: u64,
}

// === impl Histogram ===

impl Histogram {
    pub(crate) fn record(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        // Search from the lowest bound, because most calls are fast.
        let bucket = BOUNDS_NANOS.iter().position(|bound| nanos <= *bound).unwrap_or(BUCKETS - 1);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_nanos.fetch_add(nanos, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Reading {
        let mut buckets = [(f64::INFINITY, 0); BUCKETS];
        for (at, (bound, count)) in buckets.iter_mut().enumerate() {
            *bound = BOUNDS_SECONDS.get(at).copied().unwrap_or(f64::INFINITY);
            *count = self.buckets[at].load(Relaxed);
        }
        Reading {
            buckets,
            sum_seconds: self.sum_nanos.load(Relaxed) as f64 / 1e9,
            count: buckets.iter().map(|(_, count)| count).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BUCKETS, Histogram};

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        for (micros, bucket) in [
            (0, 0),
            (1_000, 0),
            (1_001, 1),
            (2_500, 1),
            (1_000_000, 9),
            (300_000_000, 16),
            (300_000_001, 17),
        ] {
            let histogram = Histogram::default();
            histogram.record(Duration::from_micros(micros));
            let reading = histogram.snapshot();
            assert_eq!(reading.buckets[bucket].1, 1, "{micros} µs");
            assert_eq!(reading.count, 1);
        }
    }

    #[test]
    fn the_sum_is_in_seconds_and_the_longest_time_does_no_harm() {
        let histogram = Histogram::default();
        histogram.record(Duration::from_millis(1500));
        assert!((histogram.snapshot().sum_seconds - 1.5).abs() < 1e-9);
        histogram.record(Duration::MAX);
        assert_eq!(histogram.snapshot().buckets[BUCKETS - 1].1, 1);
    }
}
