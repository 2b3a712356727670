//! Latencies in buckets whose width grows with the value.

/// Sub-buckets for each power of two, as a power of two: 64 keep the error under 1.6 %.
const PRECISION_BITS: u32 = 6;
const SUB_BUCKETS: usize = 1 << PRECISION_BITS;
/// Values up to 2^40 ns (18 minutes) are distinguished; no cell runs longer.
const MAGNITUDES: usize = 40 - PRECISION_BITS as usize + 1;

/// Counts of values in nanoseconds; constant memory, no allocation while recording.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

// === impl Histogram ===

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; SUB_BUCKETS * (MAGNITUDES + 1)], total: 0, max: 0 }
    }

    pub(crate) fn record(&mut self, nanos: u64) {
        let last = self.counts.len() - 1;
        self.counts[bucket_of(nanos).min(last)] += 1;
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// The largest value, exact.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// The value that `share` (0 to 1) of all values do not exceed; 0 when there are none.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let rank = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return middle_of(bucket).min(self.max);
            }
        }
        self.max
    }
}

fn bucket_of(value: u64) -> usize {
    let bits = 64 - value.leading_zeros();
    if bits <= PRECISION_BITS {
        return value as usize;
    }
    let shift = bits - PRECISION_BITS - 1;
    let sub = (value >> shift) as usize - SUB_BUCKETS;
    SUB_BUCKETS * (shift as usize + 1) + sub
}

fn middle_of(bucket: usize) -> u64 {
    if bucket < SUB_BUCKETS {
        return bucket as u64;
    }
    let shift = bucket / SUB_BUCKETS - 1;
    let low = ((bucket % SUB_BUCKETS + SUB_BUCKETS) as u64) << shift;
    low + (1_u64 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lands_within_the_promised_error() {
        for exponent in 0..39 {
            for offset in [0, 1, 7] {
                let value = (1_u64 << exponent) + offset;
                let middle = middle_of(bucket_of(value));
                assert!(
                    middle.abs_diff(value) as f64 <= value as f64 * 0.016,
                    "{value} became {middle}"
                );
            }
        }
    }

    #[test]
    fn quantiles_of_a_known_series() {
        let mut histogram = Histogram::new();
        let mut other = Histogram::new();
        for value in 1..=1000 {
            (if value % 2 == 0 { &mut histogram } else { &mut other }).record(value * 1000);
        }
        histogram.merge(&other);
        assert_eq!(histogram.total, 1000);
        assert_eq!(histogram.max(), 1_000_000);
        for (share, wanted) in
            [(0.5, 500_000.0), (0.95, 950_000.0), (0.99, 990_000.0), (1.0, 1_000_000.0)]
        {
            let got = histogram.quantile(share) as f64;
            assert!((got - wanted).abs() <= wanted * 0.02, "{share}: {got}");
        }
    }

    #[test]
    fn empty_and_endless_values_are_no_accident() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), 0);
        histogram.record(u64::MAX);
        assert_eq!(histogram.max(), u64::MAX);
        assert_eq!(histogram.total, 1);
    }
}
