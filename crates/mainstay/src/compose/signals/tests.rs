//! What signals lead to.

use std::time::{Duration, Instant};

use super::{Ending, Verdict, Wish};
use Verdict::{Drain, EndNow, GoOn};
use Wish::{Action, Interrupt, TerminalClosed, Terminate};

/// The verdicts about wishes at these milliseconds.
fn verdicts(wishes: &[(u64, Wish)]) -> Vec<Verdict> {
    let start = Instant::now();
    let mut ending = Ending::default();
    let on = |&(at, wish): &(u64, Wish)| ending.on(wish, start + Duration::from_millis(at));
    wishes.iter().map(on).collect()
}

#[test]
fn the_same_signal_within_two_seconds_is_the_same_wish() {
    assert_eq!(verdicts(&[(0, Terminate), (1, Terminate), (1999, Terminate)]), [Drain, GoOn, GoOn]);
    assert_eq!(verdicts(&[(0, Interrupt), (1, Interrupt), (1999, Interrupt)]), [Drain, GoOn, GoOn]);
    assert_eq!(
        verdicts(&[(0, Interrupt), (1, Terminate), (2, TerminalClosed)]),
        [Drain, GoOn, GoOn]
    );
}

#[test]
fn a_later_interrupt_or_a_third_terminate_ends_at_once() {
    assert_eq!(verdicts(&[(0, Interrupt), (2000, Interrupt)]), [Drain, EndNow]);
    assert_eq!(verdicts(&[(0, Terminate), (2000, Interrupt)]), [Drain, EndNow]);
    assert_eq!(
        verdicts(&[(0, Action), (1000, Interrupt), (2000, Interrupt)]),
        [Drain, GoOn, EndNow]
    );
    // A key that is held down ends the wait after two seconds.
    assert_eq!(verdicts(&[(0, Interrupt), (1500, Interrupt), (2500, Interrupt)])[2], EndNow);
    let terms = [(0, Terminate), (1, Terminate), (2000, Terminate), (2001, Terminate)];
    assert_eq!(verdicts(&terms), [Drain, GoOn, GoOn, GoOn]);
    assert_eq!(verdicts(&[(0, Terminate), (2000, Terminate), (4000, Terminate)])[2], EndNow);
    // Closing the terminal and the action say nothing new.
    assert_eq!(
        verdicts(&[(0, Terminate), (9000, TerminalClosed), (9001, Action)])[1..],
        [GoOn, GoOn]
    );
}

/// All sequences of six wishes with gaps around the two seconds.
#[test]
fn whatever_comes_only_the_first_wish_drains_and_none_ends_at_once_within_two_seconds() {
    const GAPS: [u64; 4] = [0, 999, 1001, 2000];
    const WISHES: [Wish; 4] = [Terminate, Interrupt, TerminalClosed, Action];
    const LENGTH: u32 = 5;
    for number in 0..16_usize.pow(LENGTH) {
        let mut at = 0;
        let wishes: Vec<_> = (0..LENGTH)
            .map(|place| {
                let choice = number / 16_usize.pow(place) % 16;
                at += GAPS[choice / 4];
                (at, WISHES[choice % 4])
            })
            .collect();
        let verdicts = verdicts(&wishes);
        let begun = wishes[0].0;
        assert_eq!(verdicts[0], Drain);
        for (verdict, (at, wish)) in verdicts.iter().zip(&wishes).skip(1) {
            assert_ne!(*verdict, Drain, "{wishes:?}");
            match wish {
                Interrupt => assert_eq!(*verdict == EndNow, at - begun >= 2000, "{wishes:?}"),
                Terminate if *verdict == EndNow => assert!(at - begun >= 4000, "{wishes:?}"),
                _ => assert_eq!(*verdict, GoOn, "{wishes:?}"),
            }
        }
    }
}
