//! Floors inside a crate: its modules take from their own floor or from lower ones.

use crate::code::Code;

/// Modules by floor, the lowest first. A module not named stands where the one around it does. The
/// crate's root stands above all.
pub(super) type Plan = &'static [&'static [&'static str]];

pub(super) struct Inside {
    pub(super) name: &'static str,
    pub(super) floors: Plan,
}

/// Where a file stands: its floor, and the name by which the plan knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    floor: usize,
    name: &'static str,
}

/// What points up in a crate, and what is wrong with its plan.
pub(super) fn check(code: &Code, inside: &Inside) -> Vec<String> {
    let places: Vec<Option<Place>> =
        (0..code.len()).map(|file| place(inside.floors, code.module(file))).collect();
    let mut problems = Vec::new();
    for (file, place) in places.iter().enumerate() {
        if place.is_none() {
            let (path, crate_) = (code.path(file).display(), inside.name);
            problems.push(format!("{path}: has no floor; give its module one in the plan of `{crate_}` in xtask/src/floors/plans.rs"));
        }
    }
    problems.extend(gone(code, inside));
    for step in code.uses() {
        let (Some(from), Some(to)) = (places[step.from], places[step.to]) else { continue };
        if to.floor <= from.floor {
            continue;
        }
        problems.push(format!(
            "{}:{}: `{}` takes from `{}` ({}), which stands above it: move what it needs down, or have it handed in",
            code.path(step.from).display(),
            step.line,
            from.name,
            to.name,
            code.path(step.to).display(),
        ));
    }
    problems
}

/// Modules of the plan that are not in the crate.
fn gone(code: &Code, inside: &Inside) -> Vec<String> {
    let known = |name: &str| (0..code.len()).any(|file| code.module(file).join("::") == name);
    let named = inside.floors.iter().flat_map(|floor| floor.iter());
    let gone = named.filter(|name| !known(name));
    gone.map(|name| format!("{}: the plan names `{name}`, which is no module", inside.name))
        .collect()
}

fn place(floors: Plan, module: &[String]) -> Option<Place> {
    if module.is_empty() {
        return Some(Place { floor: floors.len(), name: "lib" });
    }
    (1..=module.len()).rev().find_map(|end| {
        let wanted = module[..end].join("::");
        floors.iter().enumerate().find_map(|(floor, names)| {
            names.iter().find(|name| **name == wanted).map(|&name| Place { floor, name })
        })
    })
}
