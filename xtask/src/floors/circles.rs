//! Circles of files: each takes from the next, and the last from the first. One must read all of
//! them to understand any.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::code::{Code, Use};

/// Two files that know each other may be one idea; five are none.
pub(super) const FILES_MAX: usize = 4;

/// The circles of a crate above what is allowed, each as its files in order.
pub(super) fn too_large(code: &Code) -> Vec<Vec<usize>> {
    let uses = counted(code);
    circles(code.len(), &uses).into_iter().filter(|circle| circle.len() > FILES_MAX).collect()
}

/// What counts: all but what a module takes from one that it is a part of. `foo.rs` and the files in
/// `foo/` are one idea in several files, of which the first holds what the others share.
fn counted(code: &Code) -> Vec<Use> {
    let is_above = |step: &Use| code.module(step.from).starts_with(code.module(step.to));
    code.uses().into_iter().filter(|step| !is_above(step)).collect()
}

/// What to say of a circle: its files, and a short way around in it with the lines to look at.
pub(super) fn shown(code: &Code, circle: &[usize]) -> String {
    let files: Vec<String> =
        circle.iter().map(|&file| code.path(file).display().to_string()).collect();
    let way = shortest(circle, &counted(code));
    let steps: Vec<String> = way
        .iter()
        .map(|step| {
            let (from, to) = (code.path(step.from).display(), code.path(step.to).display());
            format!("{from}:{} takes from {to}", step.line)
        })
        .collect();
    format!(
        "{} files import each other in a circle, {FILES_MAX} may: move what they share into a file below \
         them\n    {}\n    the shortest way around:\n    {}",
        circle.len(),
        files.join("\n    "),
        steps.join("\n    ")
    )
}

/// The sets of files from each of which every other one is reached.
pub(super) fn circles(files: usize, uses: &[Use]) -> Vec<Vec<usize>> {
    let down = reached(files, uses.iter().map(|step| (step.from, step.to)));
    let mut left: BTreeSet<usize> = (0..files).collect();
    let mut found = Vec::new();
    while let Some(first) = left.pop_first() {
        let others = left
            .iter()
            .filter(|&&other| down[first].contains(&other) && down[other].contains(&first));
        let circle: Vec<usize> = std::iter::once(first).chain(others.copied()).collect();
        left.retain(|file| !circle.contains(file));
        if circle.len() > 1 {
            found.push(circle);
        }
    }
    found
}

/// For each file, all that it reaches.
fn reached(files: usize, uses: impl Iterator<Item = (usize, usize)>) -> Vec<BTreeSet<usize>> {
    let mut next: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (from, to) in uses {
        next.entry(from).or_default().push(to);
    }
    let from_one = |start: usize| {
        let mut seen = BTreeSet::new();
        let mut waiting = vec![start];
        while let Some(file) = waiting.pop() {
            let fresh = next.get(&file).into_iter().flatten().filter(|to| seen.insert(**to));
            waiting.extend(fresh.copied().collect::<Vec<_>>());
        }
        seen
    };
    (0..files).map(from_one).collect()
}

/// The fewest steps that lead from a file of the circle back to it.
fn shortest(circle: &[usize], uses: &[Use]) -> Vec<Use> {
    let within: Vec<Use> = uses
        .iter()
        .copied()
        .filter(|step| circle.contains(&step.from) && circle.contains(&step.to))
        .collect();
    let ways = circle.iter().filter_map(|&start| around(start, &within));
    ways.min_by_key(Vec::len).unwrap_or_default()
}

fn around(start: usize, uses: &[Use]) -> Option<Vec<Use>> {
    let mut came: BTreeMap<usize, Use> = BTreeMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(file) = waiting.pop_front() {
        for step in uses.iter().filter(|step| step.from == file) {
            if let Entry::Vacant(place) = came.entry(step.to) {
                place.insert(*step);
                waiting.push_back(step.to);
            }
        }
    }
    let mut way = vec![*came.get(&start)?];
    while way.last().is_some_and(|step| step.from != start) {
        way.push(came[&way[way.len() - 1].from]);
    }
    way.reverse();
    Some(way)
}
