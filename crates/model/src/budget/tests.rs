use bytes::Bytes;
use proptest::prelude::*;

use super::{Budget, BudgetExceeded, Charge, MemoryKind, UNCHARGED_BYTES_MAX};

const WHOLE: usize = 1 << 20;

fn used(budget: Budget) -> Vec<usize> {
    MemoryKind::ALL.iter().map(|kind| budget.of(*kind).used_bytes).collect()
}

#[derive(Debug, Clone)]
enum Step {
    Take(MemoryKind, usize),
    TakeOver(MemoryKind, usize),
    Grow(usize, usize),
    Shrink(usize, usize),
    Resize(usize, usize),
    Drop(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = || prop::sample::select(&MemoryKind::ALL[..]);
    let bytes = || prop_oneof![0..WHOLE / 8, WHOLE / 8..WHOLE];
    let at = || 0_usize..16;
    prop::collection::vec(
        prop_oneof![
            4 => (kind(), bytes()).prop_map(|(kind, bytes)| Step::Take(kind, bytes)),
            1 => (kind(), bytes()).prop_map(|(kind, bytes)| Step::TakeOver(kind, bytes)),
            2 => (at(), bytes()).prop_map(|(at, bytes)| Step::Grow(at, bytes)),
            2 => (at(), bytes()).prop_map(|(at, bytes)| Step::Shrink(at, bytes)),
            2 => (at(), bytes()).prop_map(|(at, bytes)| Step::Resize(at, bytes)),
            3 => at().prop_map(Step::Drop),
        ],
        0..60,
    )
}

/// Checks that granted charges fit into the budget, and refused ones did not.
#[track_caller]
fn judge(budget: Budget, kind: MemoryKind, more: usize, granted: Result<(), BudgetExceeded>) {
    let (own, whole) = (budget.of(kind), budget.whole());
    match granted {
        Ok(()) => {
            assert!(more == 0 || own.used_bytes <= own.bytes_max, "{own:?}");
            assert!(more == 0 || whole.used_bytes <= whole.bytes_max, "{whole:?}");
        }
        Err(error) => {
            let of = if error.of_whole { whole } else { own };
            assert_eq!((error.kind, error.bytes_max), (kind, of.bytes_max));
            assert!(of.used_bytes + more > of.bytes_max, "{of:?} has room for {more}");
        }
    }
}

proptest! {
    #[test]
    fn a_budget_is_the_sum_of_its_charges(steps in steps()) {
        let budget = Budget::new(WHOLE);
        let mut charges: Vec<Charge> = Vec::new();
        for step in steps {
            let at = |at: usize| charges.get(at % charges.len().max(1));
            match step {
                Step::Take(kind, bytes) => {
                    let taken = budget.take(kind, bytes);
                    let granted = taken.as_ref().map(|_| ()).map_err(|error| *error);
                    judge(budget, kind, bytes, granted);
                    charges.extend(taken.ok());
                }
                Step::TakeOver(kind, bytes) => charges.push(budget.take_over(kind, bytes)),
                Step::Grow(which, bytes) => {
                    if let Some(charge) = at(which) {
                        judge(budget, charge.kind, bytes, charge.try_grow(bytes));
                    }
                }
                Step::Shrink(which, bytes) => {
                    if let Some(charge) = at(which) {
                        charge.shrink(bytes);
                    }
                }
                Step::Resize(which, bytes) => {
                    if let Some(charge) = at(which) {
                        let before = charge.bytes();
                        let granted = charge.resize(bytes);
                        let after = if granted.is_ok() { bytes } else { before };
                        prop_assert_eq!(charge.bytes(), after);
                        judge(budget, charge.kind, bytes.saturating_sub(before), granted);
                    }
                }
                Step::Drop(at) if !charges.is_empty() => {
                    drop(charges.swap_remove(at % charges.len()));
                }
                Step::Drop(_) => {}
            }
            let of = |kind| {
                let own = charges.iter().filter(|charge| charge.kind == kind);
                own.map(Charge::bytes).sum::<usize>()
            };
            prop_assert_eq!(used(budget), MemoryKind::ALL.map(of));
            prop_assert_eq!(budget.whole().used_bytes, used(budget).iter().sum::<usize>());
        }
        drop(charges);
        prop_assert_eq!((used(budget), budget.whole().used_bytes), (vec![0; MemoryKind::ALL.len()], 0));
    }
}

#[test]
fn no_two_threads_get_the_last_bytes() {
    let budget = Budget::new(8 * WHOLE);
    let share = budget.of(MemoryKind::Answers).bytes_max;
    let granted: usize = std::thread::scope(|scope| {
        let takers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(move || {
                    let take = |_| budget.take(MemoryKind::Answers, 1000).ok();
                    let charges: Vec<_> = (0..2 * share / 1000).filter_map(take).collect();
                    charges.into_iter().map(std::mem::forget).count()
                })
            })
            .collect();
        takers.into_iter().map(|taker| taker.join().unwrap()).sum()
    });
    assert_eq!(granted, share / 1000);
    assert_eq!(budget.of(MemoryKind::Answers).used_bytes, granted * 1000);
    assert!(budget.of(MemoryKind::Answers).refused > 0);
}

#[test]
fn a_message_is_charged_until_its_last_piece_is_gone() {
    let budget = Budget::new(WHOLE);
    let large = Bytes::from(vec![b'x'; UNCHARGED_BYTES_MAX + 1]);
    let held = budget.hold(MemoryKind::Answers, large.clone()).unwrap();
    assert_eq!(held, large);
    let piece = held.slice(10..20);
    drop(held);
    assert_eq!(budget.of(MemoryKind::Answers).used_bytes, large.len());
    assert_eq!(piece, large.slice(10..20));
    drop(piece);
    assert_eq!(budget.of(MemoryKind::Answers).used_bytes, 0);
    let small = Bytes::from(vec![b'x'; UNCHARGED_BYTES_MAX]);
    let _small = budget.hold(MemoryKind::Answers, small).unwrap();
    assert_eq!(budget.of(MemoryKind::Answers).used_bytes, 0);
}

#[test]
fn a_refusal_names_the_budget_and_its_value() {
    let budget = Budget::new(WHOLE);
    let bodies = budget.take(MemoryKind::Bodies, WHOLE / 4).unwrap();
    let of_kind = budget.take(MemoryKind::Bodies, 1).unwrap_err();
    drop(bodies);
    assert!(!of_kind.of_whole);
    let refusal = of_kind.refusal();
    assert_eq!(refusal.data.limit.as_deref(), Some("memory_budget (bodies): 262144 bytes"));
    assert_eq!(refusal.data.retry_after_ms, Some(1000));
    let _lists = budget.take(MemoryKind::Lists, WHOLE / 2).unwrap();
    let _streams = budget.take(MemoryKind::Streams, WHOLE / 2).unwrap();
    let of_whole = budget.take(MemoryKind::Answers, 1).unwrap_err();
    assert!(of_whole.of_whole);
    let refusal = of_whole.refusal();
    assert_eq!(refusal.data.limit.as_deref(), Some("memory_budget (whole): 1048576 bytes"));
    assert_eq!((budget.of(MemoryKind::Answers).refused, budget.whole().refused), (1, 1));
}

#[test]
fn the_default_is_half_of_the_limit_within_bounds() {
    for (limit, expected) in [
        (0, 1 << 30),
        (1 << 20, 32 << 20),
        (300 << 20, 150 << 20),
        (8 << 30, 4 << 30),
        (u64::MAX, 4 << 30),
    ] {
        assert_eq!(Budget::default_bytes_max(limit), expected);
    }
    assert_eq!(Budget::connections_max(150 << 20), 2400);
    assert_eq!(Budget::connections_max(1 << 20), 512);
    let unlimited = Budget::UNLIMITED.take(MemoryKind::Lists, usize::MAX).unwrap();
    assert_eq!(Budget::UNLIMITED.whole().used_bytes, 0);
    drop(unlimited);
}

#[test]
fn a_message_that_never_has_room_is_not_to_be_sent_again() {
    let budget = Budget::new(1 << 20);
    let max = budget.of(MemoryKind::Bodies).bytes_max;
    let too_large = budget.take(MemoryKind::Bodies, max + 1).unwrap_err();
    assert!(too_large.is_alone && too_large.refusal().data.retry_after_ms.is_none());
    let growing = budget.take(MemoryKind::Bodies, max - 1).unwrap();
    assert!(growing.try_grow(2).unwrap_err().is_alone);
    let second = budget.take(MemoryKind::Bodies, 2).unwrap_err();
    assert!(!second.is_alone && second.refusal().data.retry_after_ms.is_some());
}
