//! `docs/requirements.md`: every demand has a state, and a demand that is met has a test that exists.
//!
//! A row is `| A1 | what is demanded | met | tests |`. Tests stand in backticks: `crate::module::name`
//! for a test function of a crate (its folder's name), or the path of a file that is a test as a whole.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{none_of, sources};

mod proof;

#[cfg(test)]
mod tests;

/// How many demands each group has. A demand is never taken off the list, only answered.
const GROUPS: [(char, usize); 9] = [
    ('A', 16),
    ('B', 13),
    ('C', 11),
    ('D', 12),
    ('E', 18),
    ('F', 10),
    ('G', 9),
    ('H', 5),
    ('I', 5),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Met,
    Partly,
    Open,
}

#[derive(Debug, PartialEq, Eq)]
struct Demand {
    id: String,
    state: State,
    tests: Vec<String>,
}

/// Checks the list of this repository and counts the states.
pub(crate) fn check(root: &Path) -> anyhow::Result<String> {
    let text = sources::read(&root.join("docs/requirements.md"))?;
    let (demands, mut problems) = read(&text);
    problems.extend(missing(&demands));
    for demand in &demands {
        if demand.state == State::Met && demand.tests.is_empty() {
            problems.push(format!("{}: met, but no test says so", demand.id));
        }
        for test in &demand.tests {
            if let Err(why) = proof::find(root, test)? {
                problems.push(format!("{}: `{test}`: {why}", demand.id));
            }
        }
    }
    none_of(&problems)?;
    let count = |state| demands.iter().filter(|demand| demand.state == state).count();
    let (met, partly, open) = (count(State::Met), count(State::Partly), count(State::Open));
    Ok(format!("{} demands: {met} met, {partly} partly, {open} open", demands.len()))
}

/// The demands of a text, and what is wrong with how they are written.
fn read(text: &str) -> (Vec<Demand>, Vec<String>) {
    let mut demands = Vec::new();
    let mut problems = Vec::new();
    for line in text.lines() {
        match row(line) {
            None => {}
            Some(Ok(demand)) => demands.push(demand),
            Some(Err(problem)) => problems.push(problem),
        }
    }
    (demands, problems)
}

/// One line of a table, if it is about a demand.
fn row(line: &str) -> Option<Result<Demand, String>> {
    let cells: Vec<&str> = line.trim().strip_prefix('|')?.split('|').map(str::trim).collect();
    let id = cells.first().copied().filter(|cell| is_id(cell))?;
    let [_, what, state, tests, ""] = cells.as_slice() else {
        return Some(Err(format!("{id}: a row has four cells: id, demand, state, tests")));
    };
    let state = match *state {
        "met" => State::Met,
        "partly" => State::Partly,
        "open" => State::Open,
        other => return Some(Err(format!("{id}: `{other}` is none of met, partly, open"))),
    };
    if what.is_empty() {
        return Some(Err(format!("{id}: nothing is demanded")));
    }
    Some(Ok(Demand { id: id.to_owned(), state, tests: in_backticks(tests) }))
}

fn is_id(cell: &str) -> bool {
    let mut letters = cell.chars();
    let group = letters.next().is_some_and(|letter| letter.is_ascii_uppercase());
    group && cell.len() > 1 && letters.all(|letter| letter.is_ascii_digit())
}

fn in_backticks(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn missing(demands: &[Demand]) -> Vec<String> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for demand in demands {
        *times.entry(&demand.id).or_default() += 1;
    }
    let mut problems = Vec::new();
    for (group, count) in GROUPS {
        for number in 1..=count {
            let id = format!("{group}{number}");
            match times.remove(id.as_str()) {
                Some(1) => {}
                None => problems.push(format!("{id}: is not on the list")),
                Some(times) => problems.push(format!("{id}: is there {times} times")),
            }
        }
    }
    problems.extend(times.keys().map(|id| format!("{id}: nobody knows this demand")));
    problems
}
