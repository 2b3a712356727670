//! A pacer that is finer than the runtime's timer, whose steps of 1 ms would be most of the
//! measured time.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// Counts beats at a fixed rate from its creation on.
#[derive(Debug)]
pub(crate) struct Pacer {
    timer: AsyncFd<OwnedFd>,
    begun: Instant,
    rate: f64,
    given: u64,
}

// === impl Pacer ===

impl Pacer {
    pub(crate) fn new(rate: f64) -> Result<Self> {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        #[expect(
            deprecated,
            reason = "the new way is unsafe code; an owned descriptor keeps its promise by itself"
        )]
        let timer = AsyncFd::new(timer)?;
        Ok(Self { timer, begun: Instant::now(), rate, given: 0 })
    }

    /// When beat `number` is due.
    pub(crate) fn due(&self, number: u64) -> Instant {
        self.begun + Duration::from_secs_f64(number as f64 / self.rate)
    }

    /// Waits for the next beat; gives its number and how many are due by now, itself included.
    pub(crate) async fn next(&mut self) -> Result<(u64, u64)> {
        let first = self.given;
        let wait = self.due(first).saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            self.sleep(wait).await?;
        }
        let passed = (self.begun.elapsed().as_secs_f64() * self.rate) as u64 + 1;
        self.given = passed.max(first + 1);
        Ok((first, self.given - first))
    }

    async fn sleep(&self, wait: Duration) -> Result<()> {
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value =
            Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        timerfd_settime(
            self.timer.get_ref(),
            TimerfdTimerFlags::empty(),
            &Itimerspec { it_interval: zero, it_value: value },
        )?;
        loop {
            let mut ready = self.timer.readable().await?;
            let mut count = [0; 8];
            match ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut count)?)) {
                Ok(read) => {
                    read?;
                    return Ok(());
                }
                Err(_would_block) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn beats_come_in_order_and_none_is_left_out() {
        let mut pacer = Pacer::new(20_000.0).expect("a timer");
        let mut expected = 0;
        while expected < 400 {
            let (first, count) = pacer.next().await.expect("a beat");
            assert_eq!(first, expected);
            assert!(count > 0);
            expected += count;
            assert!(pacer.due(first) <= Instant::now());
        }
    }
}
